// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/http/connection.hpp>
#include <otlpkit/http/error_name.hpp>
#include <otlpkit/propagation/deadline.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

/// The status that tells a client what was wrong with its request; 0 when there is nobody to tell.
[[nodiscard]] inline unsigned status_of(const error_code& e) {
  using beast::http::error;
  if (e == error::end_of_stream || e == error::partial_message) return 0;
  if (e == error::header_limit || e == error::buffer_overflow) return 431;
  if (e == error::body_limit) return 413;
  static const boost::system::error_category& parsing = make_error_code(error::bad_target).category();
  return e.category() == parsing ? 400 : 0;
}

/// Plain HTTP: nothing over TCP. A layer says what the stream is, how it is opened, and how it takes leave.
struct plain_layer {
  using stream = beast::tcp_stream;
  static constexpr bool tls = false;
  static asio::awaitable<bool> open(stream&) { co_return true; }
  static asio::awaitable<void> close(stream&) { co_return; }
};

/// One connection from accept to close.
template <class Layer>
class session {
 public:
  using connection_type = connection_over<typename Layer::stream>;

  session(std::shared_ptr<server_shared> shared, std::shared_ptr<connection_type> c, peer from)
      : shared_{std::move(shared)},
        connection_{std::move(c)}, peer_{std::move(from)}, buffer_{shared_->options.max_header_bytes + 64u * 1024} {}

  asio::awaitable<void> run() {
    tcp().expires_after(options().header_timeout);
    if (!co_await Layer::open(stream())) co_return;
    for (bool first = true, open = true; open; first = false) open = co_await one(first);
    tcp().expires_after(farewell_time);
    co_await Layer::close(stream());
    error_code ignored;
    tcp().socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }

 private:
  using parser_type = beast::http::request_parser<beast::http::string_body>;

  static constexpr std::chrono::seconds farewell_time{1};
  static constexpr std::size_t kept_buffer = 8 * 1024;  ///< memory a connection may keep while it waits

  [[nodiscard]] typename Layer::stream& stream() noexcept { return connection_->stream; }
  [[nodiscard]] beast::tcp_stream& tcp() noexcept { return connection_->tcp(); }
  [[nodiscard]] const server_options& options() const noexcept { return shared_->options; }

  /// One request and its response. False when the connection is over.
  asio::awaitable<bool> one(bool first) {
    parser_type parser;
    parser.header_limit(options().max_header_bytes);
    parser.body_limit(options().max_body_bytes);
    if (shared_->closing.load()) co_return false;
    if (!first && buffer_.size() == 0) {
      // Waiting is not yet asking: it has a time of its own, and a server that stops cuts it at once.
      connection_->waiting = true;
      if (buffer_.capacity() > kept_buffer) buffer_.shrink_to_fit();
      tcp().expires_after(options().idle_timeout);
      const auto [error, size] = co_await stream().async_read_some(buffer_.prepare(4096), as_result);
      if (error) co_return false;
      buffer_.commit(size);
    }
    tcp().expires_after(options().header_timeout);
    if (buffer_.size() == 0) {
      const auto [error, size] = co_await stream().async_read_some(buffer_.prepare(4096), as_result);
      if (error) co_return false;
      buffer_.commit(size);
    }
    connection_->waiting = false;
    if (const auto [error, size] = co_await beast::http::async_read_header(stream(), buffer_, parser, as_result);
        error) {
      co_return co_await reject(error, status_of(error), parser);
    }
    if (const unsigned status = refused(parser); status != 0) co_return co_await reject({}, status, parser);
    const request::message& head = parser.get();
    tcp().expires_after(options().body_timeout);
    if (head.version() == 11 && beast::iequals(head[beast::http::field::expect], "100-continue")) {
      beast::http::response<beast::http::empty_body> go_on{beast::http::status::continue_, 11};
      if (const auto [error, size] = co_await beast::http::async_write(stream(), go_on, as_result); error)
        co_return false;
    }
    if (const auto [error, size] = co_await beast::http::async_read(stream(), buffer_, parser, as_result); error) {
      co_return co_await reject(error, status_of(error), parser);
    }
    co_return co_await serve(request{parser.release()});
  }

  /// The status for a request whose host is not clear, or whose end: what comes behind it could be taken for another
  /// one (RFC 9112, sections 3.2 and 6.3). 0: there is nothing wrong with its header.
  [[nodiscard]] static unsigned refused(const parser_type& parser) {
    const request::message& head = parser.get();
    const auto hosts = head.count(beast::http::field::host);
    if (hosts > 1 || (hosts == 0 && head.version() == 11) || !is_host_header(header(head, "Host"))) return 400;
    const auto coding = head.find(beast::http::field::transfer_encoding);
    if (coding == head.end()) return 0;
    if (head.version() < 11 || !parser.chunked()) return 400;
    return beast::iequals(coding->value(), "chunked") ? 0 : 501;
  }

  asio::awaitable<bool> serve(request r) {
    const target_parts target = parse_target(view(r.target()));
    const std::string method{view(r.method_string())};
    auto found = shared_->routes.find(method, target.path);
    r.route = found.route;
    r.parameters = std::move(found.parameters);
    server_call call{static_cast<const request::message&>(r),
                     found.route,
                     peer_,
                     options().capture,
                     options().methods,
                     options().trust_forwarded};
    std::optional<deadline_scope> deadline;
    if (options().max_deadline.count() > 0) {
      if (const auto given = parse_timeout(header(r, timeout_header))) {
        deadline.emplace(std::min(*given, options().max_deadline));
      }
    }
    const std::size_t asked = r.body().size();
    const bool head = method == "HEAD";
    response answer;
    std::exception_ptr failure;
    tcp().expires_never();
    if (found.handler == nullptr) {
      answer = found.route.empty() ? reply(404, "not found\n") : reply(405, "method not allowed\n");
      if (!found.allow.empty()) answer.set(beast::http::field::allow, found.allow);
    } else {
      try {
        answer = co_await (*found.handler)(r);
      } catch (...) {
        failure = std::current_exception();
      }
    }
    if (failure) {
      call.failed(failure);
      answer = reply(500, "internal error\n");
    }
    answer.version(r.version());
    const bool keep = r.keep_alive() && answer.keep_alive() && !shared_->closing.load();
    answer.keep_alive(keep);
    answer.prepare_payload();
    std::size_t answered = answer.body().size();
    if (head) {  // the length stays as of GET
      answer.body().clear();
      answered = 0;
    }
    tcp().expires_after(options().write_timeout);
    beast::http::response_serializer<beast::http::string_body> serializer{answer};
    if (head) serializer.split(true);
    const auto [error, size] = head ? co_await beast::http::async_write_header(stream(), serializer, as_result)
                                    : co_await beast::http::async_write(stream(), serializer, as_result);
    call.finish(answer.result_int(), asked, answered, &answer);
    co_return !error && keep;
  }

  /// Answers what cannot be served, and closes. The connection is read to its end for a moment, as closing with unread
  /// data would take the answer from the client. A client that left, or took too long, gets no answer; where its header
  /// was complete, telemetry tells of it.
  asio::awaitable<bool> reject(error_code why, unsigned status, parser_type& parser) {
    const request::message& r = parser.get();
    std::string_view route;
    if (parser.is_header_done())
      route = shared_->routes.find(view(r.method_string()), parse_target(view(r.target())).path).route;
    if (status == 0) {
      if (!parser.is_header_done()) co_return false;
      server_call call{r, route, peer_, options().capture, options().methods, options().trust_forwarded};
      call.failed(error_name(why));
      co_return false;
    }
    response answer =
        reply(status, std::string{view(beast::http::obsolete_reason(beast::http::int_to_status(status)))} + "\n");
    answer.keep_alive(false);
    answer.prepare_payload();
    {
      server_call call{r, route, peer_, options().capture, options().methods, options().trust_forwarded};
      tcp().expires_after(std::min(options().write_timeout, std::chrono::milliseconds{5000}));
      const auto [error, size] = co_await beast::http::async_write(stream(), answer, as_result);
      call.finish(status, 0, answer.body().size(), &answer);
      if (error) co_return false;
    }
    tcp().expires_after(farewell_time);
    co_await Layer::close(stream());
    error_code ignored;
    tcp().socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    char waste[4096];
    for (std::size_t total = 0; total < 256u * 1024;) {
      const auto [error, size] = co_await tcp().async_read_some(asio::buffer(waste), as_result);
      if (error) break;
      total += size;
    }
    tcp().close();
    co_return false;
  }

  std::shared_ptr<server_shared> shared_;
  std::shared_ptr<connection_type> connection_;
  peer peer_;
  beast::flat_buffer buffer_;
};

template <class Layer>
asio::awaitable<void> run_session(std::shared_ptr<server_shared> shared,
                                  std::shared_ptr<typename session<Layer>::connection_type> c, peer from) {
  struct leaving {  // also when the coroutine is destroyed
    server_shared& shared;
    const std::shared_ptr<typename session<Layer>::connection_type>& c;
    ~leaving() { shared.leave(c); }
  } const guard{*shared, c};
  session<Layer> s{shared, c, std::move(from)};
  co_await s.run();
}

/// One more than there may be: told so in one piece, without waiting for it to be taken.
inline void turn_away(asio::ip::tcp::socket socket) {
  static constexpr std::string_view busy =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(busy), ignored);
  socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

/// \param more what the layer's stream needs beside the socket
template <class Layer, class... More>
void start_session(const std::shared_ptr<server_shared>& shared, asio::ip::tcp::socket socket, peer from,
                   More&... more) {
  const auto place = socket.get_executor();
  from.tls = Layer::tls;
  const auto c = std::make_shared<typename session<Layer>::connection_type>(std::move(socket), more...);
  if (shared->enter(c)) {
    try {
      otlpkit::co_spawn(place, run_session<Layer>(shared, c, std::move(from)), [](std::exception_ptr) {});
    } catch (...) {
      shared->leave(c);
      throw;
    }
  } else if constexpr (!Layer::tls) {
    turn_away(c->stream.release_socket());
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
