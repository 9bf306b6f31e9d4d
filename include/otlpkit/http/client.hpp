// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/client_call.hpp>
#include <otlpkit/http/message.hpp>
#include <otlpkit/sdk/url.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::http {

struct client_options {
  std::chrono::milliseconds timeout{30'000};  ///< for one request, from name look-up to the end of the response
  std::uint32_t max_header_bytes = 64 * 1024;
  std::uint64_t max_body_bytes = 8 * 1024 * 1024;
  bool send_deadline = true;  ///< tell the server how long the answer is wanted (timeout_header)
  capture_options capture{};
  known_methods methods{};
};

namespace detail {

inline constexpr auto client_result = boost::asio::as_tuple(boost::asio::use_awaitable);

/// Writes the request and reads the response on a stream that is connected. `call` is told how it went.
template <class Stream, class Buffer>
boost::asio::awaitable<response> exchange(Stream& stream, Buffer& buffer, request::message& r,
                                          const client_options& options, client_call& call) {
  namespace beast = boost::beast;
  call.send_context(r, options.send_deadline);
  r.prepare_payload();
  call.sent(r);
  const std::uint64_t asked = r.body().size();
  const auto fail = [&call, asked](const boost::system::error_code& e) {
    call.failed(e, asked);
    throw boost::system::system_error{e};
  };
  if (const auto [error, size] = co_await beast::http::async_write(stream, r, client_result); error) fail(error);
  beast::http::response_parser<beast::http::string_body> parser;
  parser.header_limit(options.max_header_bytes);
  parser.body_limit(options.max_body_bytes);
  if (r.method() == beast::http::verb::head) parser.skip(true);
  if (const auto [error, size] = co_await beast::http::async_read(stream, buffer, parser, client_result); error) {
    fail(error);
  }
  response answer = parser.release();
  call.finish(answer, answer.result_int(), answer.version(), asked, answer.body().size());
  co_return answer;
}

}  // namespace detail

/// Sends `r` on a connection of your own (Beast's tcp_stream, or TLS on top of one) and reads the response, as one
/// attempt: a CLIENT span, its metrics, and the current context in the headers. `target` says who is called. The stream
/// keeps the time limit you gave it. `r`, `target` and `options` must live until the end.
///
/// Throws boost::system::system_error when the connection fails; a response of any status is returned.
template <class Stream, class Buffer>
[[nodiscard]] boost::asio::awaitable<response> send(Stream& stream, Buffer& buffer, request::message& r,
                                                    const client_target& target, const client_options& options) {
  client_call call{detail::view(r.method_string()), target, options.capture, options.methods};
  co_return co_await detail::exchange(stream, buffer, r, options, call);
}

/// A client for http URLs: a connection for each request. Copyable, usable from several coroutines at once; must
/// outlive its requests.
class client {
 public:
  explicit client(client_options options = {}) : options_{std::move(options)} {}

  /// Sends a request to an absolute http URL. `r` is completed: target, Host, context, length. The time limit is the
  /// options', or what the current deadline leaves of it.
  ///
  /// \param url_template names the span: `/products/{id}`
  /// \throws config_error for a URL that cannot be used (https wants a stream of your own and send()), and
  ///   boost::system::system_error when the connection fails or time is over; a response of any status is returned
  [[nodiscard]] boost::asio::awaitable<response> send(request::message r, std::string url,
                                                      std::string url_template = {}, unsigned resend_count = 0) const {
    namespace asio = boost::asio;
    const exporters::url to = parsed(url);
    const client_target target{url, to.host, to.port, url_template, resend_count};
    r.version(11);
    r.target(to.target);
    r.set(boost::beast::http::field::host, to.authority());
    client_call call{detail::view(r.method_string()), target, options_.capture, options_.methods};
    const std::uint64_t asked = r.body().size();

    boost::beast::tcp_stream stream{co_await asio::this_coro::executor};
    const auto limit = within_deadline(options_.timeout);
    if (limit.count() <= 0) fail(call, boost::beast::error::timeout, asked);
    stream.expires_after(limit);
    // Looking a name up is the one wait the stream's own clock does not end: a timer cancels it, perhaps on another
    // thread and after this coroutine has gone.
    struct look_up {
      asio::ip::tcp::resolver resolver;
      std::atomic<bool> late{false};
    };
    const auto names = std::make_shared<look_up>(asio::ip::tcp::resolver{stream.get_executor()});
    asio::steady_timer timer{stream.get_executor(), limit};
    timer.async_wait([names](const boost::system::error_code& e) {
      if (e) return;
      names->late.store(true);
      names->resolver.cancel();
    });
    auto [unresolved, endpoints] =
        co_await names->resolver.async_resolve(to.host, std::to_string(to.port), detail::client_result);
    timer.cancel();
    if (unresolved) {
      fail(call, names->late.load() ? make_error_code(boost::beast::error::timeout) : unresolved, asked);
    }
    auto [unconnected, endpoint] = co_await stream.async_connect(endpoints, detail::client_result);
    if (unconnected) fail(call, unconnected, asked);
    call.connected(endpoint.address().to_string(), endpoint.port());
    boost::beast::flat_buffer buffer;
    response answer = co_await detail::exchange(stream, buffer, r, options_, call);
    boost::system::error_code ignored;
    stream.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    co_return answer;
  }

  [[nodiscard]] boost::asio::awaitable<response> get(std::string url, std::string url_template = {}) const {
    return send(request::message{boost::beast::http::verb::get, "/", 11}, std::move(url), std::move(url_template));
  }

  [[nodiscard]] boost::asio::awaitable<response> post(std::string url, std::string body, std::string_view content_type,
                                                      std::string url_template = {}) const {
    request::message r{boost::beast::http::verb::post, "/", 11};
    r.set(boost::beast::http::field::content_type, content_type);
    r.body() = std::move(body);
    return send(std::move(r), std::move(url), std::move(url_template));
  }

 private:
  [[nodiscard]] static exporters::url parsed(const std::string& url) {
    std::string expected;
    auto out = exporters::parse_url(url, expected);
    if (!out) throw config_error{"url", quoted(redacted_url(url, {})), expected};
    if (out->tls)
      throw config_error{"url", quoted(redacted_url(url, {})), "http; for https use a TLS stream and http::send"};
    return *std::move(out);
  }
  [[noreturn]] static void fail(client_call& call, const boost::system::error_code& e, std::uint64_t asked) {
    call.failed(e, asked);
    throw boost::system::system_error{e};
  }

  client_options options_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
