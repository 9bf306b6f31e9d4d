// SPDX-License-Identifier: MIT
#pragma once

// The functions of http::client. otlpkit/http/client.hpp includes this, or otlpkit/http/src.hpp does.

#include <otlpkit/asio/run_at.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/connector.hpp>
#include <otlpkit/http/client.hpp>
#include <otlpkit/http/client_connection.hpp>
#include <otlpkit/http/error_name.hpp>
#include <otlpkit/http/exchange.hpp>
#include <otlpkit/http/name_lookup.hpp>
#include <otlpkit/sdk/url.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http {

namespace detail {

inline boost::asio::awaitable<error_code> connect(client_connection& c, const exporters::url& to,
                                                  std::chrono::steady_clock::time_point until) {
  namespace asio = boost::asio;
  std::vector<asio::ip::tcp::endpoint> addresses = exporters::detail::known_addresses(to.host, to.port);
  if (addresses.empty()) {
    // The one wait the stream's own clock does not end.
    const error_code unknown = co_await look_up(c.tcp().get_executor(), to.host, to.port, until, addresses);
    if (unknown) co_return unknown;
  }
  const auto [unconnected, endpoint] = co_await c.tcp().async_connect(addresses, client_result);
  if (unconnected) co_return unconnected;
  c.peer = endpoint;
  error_code ignored;  // a lost option costs latency, nothing else
  c.tcp().socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
  co_return error_code{};
}

/// One attempt, on the connection's strand.
inline boost::asio::awaitable<exchange_result> perform(client_connection& c, bool reused, request::message& r,
                                                       const exporters::url& to,
                                                       std::chrono::steady_clock::time_point until,
                                                       const client_options& options, std::string& why) {
  exchange_result out;
  c.tcp().expires_at(until);
  if (!reused) {
    out.error = co_await connect(c, to, until);
    if (out.error) co_return out;
    c.books.now("active");
    out.error = co_await c.handshake();
    if (out.error) why = c.explain(out.error);
    if (out.error) co_return out;
  }
  out = co_await c.exchange(r, options);
  c.tcp().expires_never();
  co_return out;
}

[[nodiscard]] inline bool reusable(client_connection& c, const response& answer) {
  constexpr std::size_t kept_buffer = 16 * 1024;
  if (!answer.keep_alive() || answer.need_eof() || answer.result_int() < 200 || c.buffer.size() != 0) return false;
  if (c.buffer.capacity() > kept_buffer) c.buffer.shrink_to_fit();
  return true;
}

/// Whether a request that failed on a used connection can be sent once more: the server has closed the connection
/// without an answer, and cannot have served it, or may serve it twice (RFC 9110, section 9.2.2).
[[nodiscard]] inline bool may_repeat(const request::message& r, const exchange_result& result) {
  using boost::beast::http::verb;
  if (result.answered) return false;
  const std::string name = error_name(result.error);
  if (name != "end_of_stream" && name != "connection_reset" && name != "tls_error") return false;
  const verb v = r.method();
  return result.written == 0 || v == verb::get || v == verb::head || v == verb::put || v == verb::delete_ ||
         v == verb::options || v == verb::trace;
}

[[nodiscard]] inline exporters::url parsed(const std::string& url, const std::vector<std::string>& secrets) {
  std::string expected;
  auto out = exporters::parse_url(url, expected);
  if (out) return *std::move(out);
  const bool unclear = url.find("://") == std::string::npos && url.find('@') != std::string::npos;
  throw config_error{"url", unclear ? std::string{hidden_value} : quoted(redacted_url(url, secrets)), expected};
}

class plain_client_connection final : public client_connection {
 public:
  plain_client_connection(const boost::asio::any_io_executor& ex, std::string host, std::uint16_t port)
      : client_connection{std::move(host), port}, stream_{ex} {}

  boost::beast::tcp_stream& tcp() noexcept override { return stream_; }
  boost::asio::awaitable<error_code> handshake() override { co_return error_code{}; }
  boost::asio::awaitable<exchange_result> exchange(request::message& r, const client_options& options) override {
    return http::detail::exchange(stream_, buffer, r, options);
  }

 private:
  boost::beast::tcp_stream stream_;
};

[[noreturn]] inline void fail(client_call& call, std::uint64_t asked, const error_code& e, std::string_view why = {}) {
  call.failed(e, asked, why);
  throw boost::system::system_error{e};
}

OTLPKIT_DECL connection_factory plain_connections() {
  return [](const boost::asio::any_io_executor& ex, std::string host,
            std::uint16_t port) -> std::unique_ptr<client_connection> {
    return std::make_unique<plain_client_connection>(ex, std::move(host), port);
  };
}

}  // namespace detail

OTLPKIT_DECL boost::asio::awaitable<response> client::send(request::message r, std::string url,
                                                           std::string url_template, unsigned resend_count) const {
  const std::shared_ptr<shared> s = shared_;
  const client_options& options = s->options;
  if (url.starts_with('/')) url.insert(0, options.base_url);
  const exporters::url to = detail::parsed(url, options.capture.redacted_parameters);
  const detail::connection_factory& make = s->factory(to.tls);
  r.version(11);
  r.target(to.target);
  r.set(boost::beast::http::field::host, to.authority());
  r.prepare_payload();
  const std::uint64_t asked = r.body().size();
  const auto limit = within_deadline(options.timeout);
  const auto until = std::chrono::steady_clock::now() + limit;
  const auto ex = co_await boost::asio::this_coro::executor;

  for (bool again = false;; again = true) {
    const client_target target{url, to.host, to.port, url_template, resend_count + (again ? 1 : 0)};
    client_call call{detail::view(r.method_string()), target, options.capture, options.methods};
    call.send_context(r, options.send_deadline);
    call.sent(r);
    if (limit.count() <= 0) detail::fail(call, asked, boost::beast::error::timeout);
    detail::connection_pool::key place{nullptr, to.host, to.port, to.tls};
    auto lease = co_await s->pool->acquire(ex, std::move(place), again, until);
    if (!lease) {
      const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
      if (cancellation.cancelled() != boost::asio::cancellation_type::none)
        detail::fail(call, asked, boost::asio::error::operation_aborted);
      detail::fail(call, asked, boost::beast::error::timeout);
    }
    const bool reused = lease->connection != nullptr;
    if (!reused) lease->connection = make(detail::own_strand(ex), to.host, to.port);
    detail::client_connection& c = *lease->connection;
    std::string why;
    detail::exchange_result result = co_await otlpkit::detail::run_at(
        c.tcp().get_executor(), detail::perform(c, reused, r, to, until, options, why));
    if (c.peer.port() != 0) call.connected(c.peer.address().to_string(), c.peer.port());
    if (!result.error) {
      call.finish(result.answer, result.answer.result_int(), result.answer.version(), asked,
                  result.answer.body().size());
      if (r.keep_alive() && detail::reusable(c, result.answer)) lease->keep();
      co_return std::move(result.answer);
    }
    if (again || !reused || !detail::may_repeat(r, result)) detail::fail(call, asked, result.error, why);
    call.failed(result.error, asked, why);
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::http
