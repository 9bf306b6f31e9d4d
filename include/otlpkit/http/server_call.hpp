// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/call_span.hpp>
#include <otlpkit/http/message.hpp>
#include <otlpkit/http/semantics.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::http {

namespace detail {

inline constinit const histogram server_duration{
    "http.server.request.duration",
    {.unit = "s",
     .description = "Duration of HTTP server requests",
     .bounds = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}}};
inline constinit const histogram server_request_size{"http.server.request.body.size",
                                                     {.unit = "By", .description = "Size of HTTP request bodies"}};
inline constinit const histogram server_response_size{"http.server.response.body.size",
                                                      {.unit = "By", .description = "Size of HTTP response bodies"}};
inline constinit const up_down_counter<> server_active{
    "http.server.active_requests", {.unit = "{request}", .description = "HTTP requests in progress"}};

}  // namespace detail

/// What a server knows about a connection.
struct peer {
  std::string address;  ///< numeric
  std::uint16_t port = 0;
  bool tls = false;
};

/// One request as a server sees it, for as long as it lives: its SERVER span is current, continues the caller's trace
/// and carries the caller's baggage; its metrics are recorded at the end. For servers that are not otlpkit's own, too:
/// make one when the headers are there, call finish() when the response is known.
class server_call {
 public:
  /// \param route the router's pattern, "" when nothing serves the path; it, `from` and the options must outlive this
  template <class Body>
  server_call(const boost::beast::http::request<Body>& r, std::string_view route, const peer& from,
              const capture_options& capture, const known_methods& methods, bool trust_forwarded = true)
      : capture_{&capture}, method_{methods.name_of(detail::view(r.method_string()))}, route_{route},
        scheme_{from.tls ? "https" : "http"}, version_{detail::version_text(r.version())},
        remote_{extract(static_cast<const boost::beast::http::fields&>(r))},
        span_{span_name(method_, route), {.kind = span_kind::server}, true, [&](auto&& add) {
                describe(r, from, methods, trust_forwarded, add);
              }} {
    if (trust_forwarded) {
      const std::string_view proto = proto_of(r);
      if (proto == "https" || proto == "http") scheme_ = proto == "https" ? "https" : "http";
    }
    detail::server_active.add(1, {{"http.request.method", method_}, {"url.scheme", scheme_}});
  }
  server_call(const server_call&) = delete;
  server_call& operator=(const server_call&) = delete;
  ~server_call() {
    if (!finished_) finish(0, 0, 0);
    detail::server_active.add(-1, {{"http.request.method", method_}, {"url.scheme", scheme_}});
  }

  /// The request failed with an exception: it is recorded, and the response will be a 500.
  void failed(const std::exception_ptr& e) noexcept {
    try {
      std::rethrow_exception(e);
    } catch (const std::exception& x) {
      const platform::type_name type{typeid(x).name()};
      failed(type.text());
      span_.record_exception(x);
      span_.status(status_code::error, x.what());
    } catch (...) {
      failed("exception");
    }
  }

  /// There will be no response, because of what `error` names: `timeout`, `end_of_stream`.
  void failed(std::string_view error) noexcept {
    try {
      error_ = error;
    } catch (...) {
    }
    span_.status(status_code::error);
  }

  /// What was answered; 0 as status when nothing could be. Later calls do nothing.
  void finish(unsigned status, std::uint64_t request_body, std::uint64_t response_body,
              const boost::beast::http::fields* headers = nullptr) noexcept {
    if (finished_) return;
    finished_ = true;
    if (status != 0) span_.put({"http.response.status_code", status});
    if (error_.empty() && is_error(status, false)) {
      error_ = status == 0 ? "no_response" : std::to_string(status);
      span_.status(status_code::error);
    }
    if (!error_.empty()) span_.put({"error.type", std::string_view{error_}});
    if (headers != nullptr && span_.recording()) {
      try {
        detail::capture_headers(*headers, capture_->response_headers, "http.response.header.",
                                [this](std::string_view key, const auto& lines) {
                                  span_.put({key, lines});
                                });
      } catch (...) {
      }
    }
    const double seconds = static_cast<double>(platform::steady_ns() - started_) * 1e-9;
    const field code{"http.response.status_code", status};
    const field error{"error.type", std::string_view{error_}};
    const field route{"http.route", std::string_view{route_}};
    detail::call_metrics{detail::server_duration,
                         detail::server_request_size,
                         detail::server_response_size,
                         seconds,
                         request_body,
                         response_body}
        .record(
            {"http.request.method", std::string_view{method_}}, {"url.scheme", scheme_},
            {"network.protocol.version", version_},
            {status != 0 ? &code : nullptr, !error_.empty() ? &error : nullptr, !route_.empty() ? &route : nullptr});
    span_.end();
  }

  [[nodiscard]] span& current() noexcept { return span_; }

 private:
  [[nodiscard]] static std::string_view proto_of(const boost::beast::http::fields& f) {
    const forwarded by = parse_forwarded(detail::header(f, "Forwarded"));
    if (!by.proto.empty()) return by.proto;
    const std::string_view header = detail::header(f, "X-Forwarded-Proto");
    return trimmed(header.substr(0, header.find(',')));
  }

  template <class Request, class Add>
  void describe(const Request& r, const peer& from, const known_methods& methods, bool trust_forwarded, Add& add) {
    const std::string_view method = detail::view(r.method_string());
    const target_parts target = parse_target(detail::view(r.target()));
    std::string_view scheme = scheme_;
    std::string_view client = from.address;
    std::string_view authority = target.authority.empty() ? detail::header(r, "Host") : target.authority;
    if (trust_forwarded) {
      const forwarded by = parse_forwarded(detail::header(r, "Forwarded"));
      const auto first = [&r](std::string_view name) {
        const std::string_view all = detail::header(r, name);
        return trimmed(all.substr(0, all.find(',')));
      };
      const std::string_view for_ = by.client.empty() ? first("X-Forwarded-For") : by.client;
      const std::string_view host = by.host.empty() ? first("X-Forwarded-Host") : by.host;
      const std::string_view proto = proto_of(r);
      if (!for_.empty()) client = for_;
      if (!host.empty()) authority = host;
      if (proto == "https" || proto == "http") scheme = proto;
    }
    add({"http.request.method", method_});
    if (!methods.knows(method) && !method.empty()) add({"http.request.method_original", method});
    add({"url.path", target.path});
    add({"url.scheme", scheme});
    if (!target.query.empty()) add({"url.query", redacted_query(target.query, capture_->redacted_parameters)});
    if (!route_.empty()) add({"http.route", route_});
    if (const host_port server = parse_host(authority); !server.host.empty()) {
      add({"server.address", server.host});
      add({"server.port", server.port != 0 ? server.port : scheme == "https" ? 443 : 80});
    }
    if (!client.empty()) add({"client.address", client});
    if (!from.address.empty()) {
      add({"network.peer.address", from.address});
      add({"network.peer.port", from.port});
    }
    add({"network.protocol.version", version_});
    if (const std::string_view agent = detail::header(r, "User-Agent"); !agent.empty()) {
      add({"user_agent.original", agent});
    }
    detail::capture_headers(r, capture_->request_headers, "http.request.header.",
                            [&add](std::string_view key, const auto& lines) {
                              add({key, lines});
                            });
  }

  const capture_options* capture_;
  std::string method_;
  std::string route_;
  std::string_view scheme_;
  std::string_view version_;
  std::string error_;
  std::uint64_t started_ = platform::steady_ns();
  bool finished_ = false;
  remote_scope remote_;
  detail::call_span span_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
