// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/call_span.hpp>
#include <otlpkit/http/error_name.hpp>
#include <otlpkit/http/message.hpp>
#include <otlpkit/http/semantics.hpp>
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http {

namespace detail {

inline constinit const histogram client_duration{
    "http.client.request.duration",
    {.unit = "s",
     .description = "Duration of HTTP client requests",
     .bounds = {0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}}};
inline constinit const histogram client_request_size{"http.client.request.body.size",
                                                     {.unit = "By", .description = "Size of HTTP request bodies"}};
inline constinit const histogram client_response_size{"http.client.response.body.size",
                                                      {.unit = "By", .description = "Size of HTTP response bodies"}};
inline constinit const up_down_counter<> client_active{
    "http.client.active_requests", {.unit = "{request}", .description = "HTTP requests in progress"}};

}  // namespace detail

/// What is called, as spans and metrics name it.
struct client_target {
  std::string_view url;      ///< absolute, as asked for; secrets in it are redacted
  std::string_view address;  ///< host, as configured
  std::uint16_t port = 0;
  std::string_view url_template;  ///< `/products/{id}`: becomes part of the span's name and url.template; "": none
  unsigned resend_count = 0;      ///< 1 for the first repetition of a request, and so on
};

/// One attempt of a request as a client sees it, for as long as it lives: a CLIENT span under the one that is current
/// when it is made, and metrics at the end. For clients that are not otlpkit's own: make one, give it the headers by
/// send_context(), call finish() or failed().
///
/// The span does not become current, and what goes out is remembered from the start: so a request is right in a
/// coroutine that is not one of otlpkit's tasks, too.
class client_call {
 public:
  /// \param target, capture must outlive this
  client_call(std::string_view method, const client_target& target, const capture_options& capture,
              const known_methods& methods)
      : capture_{&capture}, target_{&target}, method_{methods.name_of(method)},
        span_{span_name(method_, target.url_template), {.kind = span_kind::client}, false, [&](auto&& add) {
                add({"http.request.method", method_});
                if (!methods.knows(method)) add({"http.request.method_original", method});
                add({"server.address", target.address});
                add({"server.port", target.port});
                add({"url.full", redacted_url(target.url, capture.redacted_parameters)});
                if (!target.url_template.empty()) add({"url.template", target.url_template});
                if (target.resend_count != 0) add({"http.request.resend_count", target.resend_count});
              }} {
    active(1);
  }
  client_call(const client_call&) = delete;
  client_call& operator=(const client_call&) = delete;
  ~client_call() {
    if (!finished_) record(0, "cancelled", 0, 0, 11);
    active(-1);
  }

  /// Writes trace context, baggage and, if wished, what is left of the deadline.
  void send_context(boost::beast::http::fields& headers, bool with_deadline) {
    inject(headers, span_.context(), baggage_);
    if (!with_deadline || !left_) return;
    const auto gone = std::chrono::nanoseconds{platform::steady_ns() - started_};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*left_ - gone).count();
    headers.set(boost::beast::string_view{timeout_header.data(), timeout_header.size()},
                std::to_string(ms < 0 ? 0 : ms));
  }

  /// Captures the headers of the request as they go out.
  void sent(const boost::beast::http::fields& headers) noexcept {
    capture(headers, capture_->request_headers, "request");
  }

  /// The peer's address, once it is known.
  void connected(std::string_view address, std::uint16_t port) noexcept {
    span_.put({"network.peer.address", address});
    span_.put({"network.peer.port", port});
  }

  void finish(const boost::beast::http::fields& headers, unsigned status, unsigned version, std::uint64_t request_body,
              std::uint64_t response_body) noexcept {
    capture(headers, capture_->response_headers, "response");
    span_.put({"http.response.status_code", status});
    span_.put({"network.protocol.version", detail::version_text(version)});
    record(status, {}, request_body, response_body, version);
  }

  /// \param why more than the error's own message says, if there is more
  void failed(const boost::system::error_code& e, std::uint64_t request_body = 0, std::string_view why = {}) noexcept {
    try {
      const std::string name = detail::error_name(e);
      if (name != "cancelled") span_.status(status_code::error, why.empty() ? std::string_view{e.message()} : why);
      record(0, name, request_body, 0, 11);
    } catch (...) {
      span_.status(status_code::error);
      record(0, "error", request_body, 0, 11);
    }
  }

  [[nodiscard]] span& current() noexcept { return span_; }

 private:
  void active(std::int64_t n) const noexcept {
    const field method{"http.request.method", std::string_view{method_}};
    const field address{"server.address", target_->address};
    const field port{"server.port", target_->port};
    if (target_->url_template.empty()) return detail::client_active.add(n, {method, address, port});
    detail::client_active.add(n, {method, address, port, {"url.template", target_->url_template}});
  }

  void capture(const boost::beast::http::fields& headers, const std::vector<std::string>& names,
               std::string_view side) noexcept {
    if (names.empty() || !span_.recording()) return;
    try {
      detail::capture_headers(headers, names, std::string{"http."}.append(side).append(".header."),
                              [this](std::string_view key, const auto& lines) {
                                span_.put({key, lines});
                              });
    } catch (...) {
    }
  }

  void record(unsigned status, std::string_view error, std::uint64_t request_body, std::uint64_t response_body,
              unsigned version) noexcept {
    if (finished_) return;
    finished_ = true;
    char digits[12];
    if (status != 0 && is_error(status, true)) {
      const auto end = std::to_chars(digits, digits + sizeof digits, status).ptr;
      error = {digits, static_cast<std::size_t>(end - digits)};
      span_.status(status_code::error);
    }
    // Whoever gives a request up on purpose has not failed (semantic conventions); the metric tells it apart all the
    // same.
    if (!error.empty() && error != "cancelled") span_.put({"error.type", error});
    const double seconds = static_cast<double>(platform::steady_ns() - started_) * 1e-9;
    const field code{"http.response.status_code", status};
    const field kind{"error.type", error};
    const field protocol{"network.protocol.version", detail::version_text(version)};
    const field called{"url.template", target_->url_template};
    detail::call_metrics{detail::client_duration,
                         detail::client_request_size,
                         detail::client_response_size,
                         seconds,
                         request_body,
                         response_body}
        .record({"http.request.method", std::string_view{method_}}, {"server.address", target_->address},
                {"server.port", target_->port},
                {status != 0 ? &code : nullptr, !error.empty() ? &kind : nullptr, status != 0 ? &protocol : nullptr,
                 !target_->url_template.empty() ? &called : nullptr});
    span_.end();
  }

  const capture_options* capture_;
  const client_target* target_;
  std::string method_;
  otlpkit::baggage baggage_ = current_baggage();
  std::optional<std::chrono::nanoseconds> left_ = time_left();
  std::uint64_t started_ = platform::steady_ns();
  bool finished_ = false;
  detail::call_span span_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
