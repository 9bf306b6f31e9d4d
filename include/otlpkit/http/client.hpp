// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/connector.hpp>
#include <otlpkit/http/client_call.hpp>
#include <otlpkit/http/connection_pool.hpp>
#include <otlpkit/http/message.hpp>
#include <otlpkit/sdk/url.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// Sends `r` on a connection of your own (Beast's tcp_stream, or TLS on top of one) and reads the response, as one
/// attempt: a CLIENT span, its metrics, and the current context in the headers. `target` says who is called. The stream
/// keeps the time limit you gave it. `r`, `target` and `options` must live until the end.
///
/// Throws boost::system::system_error when the connection fails; a response of any status is returned.
template <class Stream, class Buffer>
[[nodiscard]] boost::asio::awaitable<response> send(Stream& stream, Buffer& buffer, request::message& r,
                                                    const client_target& target, const client_options& options) {
  client_call call{detail::view(r.method_string()), target, options.capture, options.methods};
  call.send_context(r, options.send_deadline);
  r.prepare_payload();
  call.sent(r);
  detail::exchange_result result = co_await detail::exchange(stream, buffer, r, options);
  if (result.error) {
    call.failed(result.error, r.body().size());
    throw boost::system::system_error{result.error};
  }
  call.finish(result.answer, result.answer.result_int(), result.answer.version(), r.body().size(),
              result.answer.body().size());
  co_return std::move(result.answer);
}

/// A client for http and https URLs. Connections are kept and used again, a bounded number for each host. Copies share
/// them. Usable from several coroutines, threads and io_contexts at once; must outlive its requests.
///
///     otlpkit::http::client payment{"http://payment:8080"};
///     const auto answer = co_await payment.post("/charge", body);
///
/// A request that a kept connection did not carry, as the server was closing it, is sent once more on a new one, if it
/// can do no harm: nothing of it was sent, or its method is idempotent.
class client {
 public:
  /// \throws config_error for options that cannot be used
  explicit client(client_options options = {}) : shared_{std::make_shared<shared>(std::move(options))} {}
  /// \param base_url goes in front of URLs that begin with `/`
  template <std::convertible_to<std::string> Text>
  explicit client(Text&& base_url, client_options options = {})
      : client{(options.base_url = std::forward<Text>(base_url), std::move(options))} {}

  /// Sends a request to an absolute http or https URL, or a path under base_url. `r` is completed: target, Host,
  /// context, length. The time limit is the options', or what the current deadline leaves of it.
  ///
  /// \param url_template names the span: `/products/{id}`
  /// \throws config_error for a URL that cannot be used, and boost::system::system_error when the connection fails or
  ///   time is over; a response of any status is returned
  [[nodiscard]] boost::asio::awaitable<response> send(request::message r, std::string url,
                                                      std::string url_template = {}, unsigned resend_count = 0) const {
    const std::shared_ptr<shared> s = shared_;
    const client_options& options = s->options;
    if (url.starts_with('/')) url.insert(0, options.base_url);
    const exporters::url to = parsed(url, options.capture.redacted_parameters);
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
      const auto fail = [&call, asked](const detail::error_code& e, std::string_view why = {}) {
        call.failed(e, asked, why);
        throw boost::system::system_error{e};
      };
      if (limit.count() <= 0) fail(boost::beast::error::timeout);
      detail::connection_pool::key place{nullptr, to.host, to.port, to.tls};
      auto lease = co_await s->pool->acquire(ex, std::move(place), again, until);
      if (!lease) {
        const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
        if (cancellation.cancelled() != boost::asio::cancellation_type::none)
          fail(boost::asio::error::operation_aborted);
        fail(boost::beast::error::timeout);
      }
      const bool reused = lease->connection != nullptr;
      if (!reused) lease->connection = make(detail::own_strand(ex), to.host, to.port);
      detail::client_connection& c = *lease->connection;
      std::string why;
      detail::exchange_result result = co_await boost::asio::co_spawn(
          c.tcp().get_executor(), perform(c, reused, r, to, until, options, why), boost::asio::use_awaitable);
      if (c.peer.port() != 0) call.connected(c.peer.address().to_string(), c.peer.port());
      if (!result.error) {
        call.finish(result.answer, result.answer.result_int(), result.answer.version(), asked,
                    result.answer.body().size());
        if (r.keep_alive() && reusable(c, result.answer)) lease->keep();
        co_return std::move(result.answer);
      }
      if (again || !reused || !may_repeat(r, result)) fail(result.error, why);
      call.failed(result.error, asked, why);
    }
  }

  [[nodiscard]] boost::asio::awaitable<response> get(std::string url, std::string url_template = {}) const {
    return send(request::message{boost::beast::http::verb::get, "/", 11}, std::move(url), std::move(url_template));
  }
  [[nodiscard]] boost::asio::awaitable<response> post(std::string url, std::string body,
                                                      std::string_view content_type = "application/json",
                                                      std::string url_template = {}) const {
    return send(with_body(boost::beast::http::verb::post, std::move(body), content_type), std::move(url),
                std::move(url_template));
  }
  [[nodiscard]] boost::asio::awaitable<response> put(std::string url, std::string body,
                                                     std::string_view content_type = "application/json",
                                                     std::string url_template = {}) const {
    return send(with_body(boost::beast::http::verb::put, std::move(body), content_type), std::move(url),
                std::move(url_template));
  }
  [[nodiscard]] boost::asio::awaitable<response> del(std::string url, std::string url_template = {}) const {
    return send(request::message{boost::beast::http::verb::delete_, "/", 11}, std::move(url), std::move(url_template));
  }

  /// Closes the connections that wait for use. Others stay. What was idle for idle_timeout is closed by the next
  /// request, whatever its host.
  void close_idle() const { shared_->pool->clear(); }

 private:
  struct shared {
    explicit shared(client_options o) : options{std::move(o)} {
      options.check();
      const client_tls& files = options.tls;
      if (!files.certificate.empty() || !files.client_certificate.empty() || !files.client_key.empty()) factory(true);
    }

    /// How connections are made. For TLS the files are read once, when the first one is wanted.
    const detail::connection_factory& factory(bool over_tls) {
      if (!over_tls) return plain;
      const std::lock_guard lock{mutex};
      if (tls) return tls;
      const auto provider = detail::installed_client_tls.load(std::memory_order_acquire);
      if (provider == nullptr) {
        throw config_error{"url", "https", "http, or <otlpkit/http/tls.hpp> included in one file of the program"};
      }
      return tls = provider(options.tls);
    }

    client_options options;
    std::shared_ptr<detail::connection_pool> pool =
        std::make_shared<detail::connection_pool>(options.max_connections_per_host, options.idle_timeout);
    detail::connection_factory plain = [](const boost::asio::any_io_executor& ex, std::string host,
                                          std::uint16_t port) -> std::unique_ptr<detail::client_connection> {
      return std::make_unique<detail::plain_client_connection>(ex, std::move(host), port);
    };
    std::mutex mutex;
    detail::connection_factory tls;
  };

  /// One attempt, on the connection's strand.
  static boost::asio::awaitable<detail::exchange_result> perform(detail::client_connection& c, bool reused,
                                                                 request::message& r, const exporters::url& to,
                                                                 std::chrono::steady_clock::time_point until,
                                                                 const client_options& options, std::string& why) {
    detail::exchange_result out;
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

  static boost::asio::awaitable<detail::error_code> connect(detail::client_connection& c, const exporters::url& to,
                                                            std::chrono::steady_clock::time_point until) {
    namespace asio = boost::asio;
    std::vector<asio::ip::tcp::endpoint> addresses = exporters::detail::known_addresses(to.host, to.port);
    if (addresses.empty()) {
      // Looking a name up is the one wait the stream's own clock does not end: a timer cancels it, whose handler may
      // come when this coroutine has gone.
      struct look_up {
        asio::ip::tcp::resolver resolver;
        bool late = false;
      };
      const auto names = std::make_shared<look_up>(look_up{asio::ip::tcp::resolver{c.tcp().get_executor()}});
      asio::steady_timer timer{c.tcp().get_executor(), until};
      timer.async_wait([names](const detail::error_code& e) {
        if (e) return;
        names->late = true;
        names->resolver.cancel();
      });
      const auto [unresolved, found] =
          co_await names->resolver.async_resolve(to.host, std::to_string(to.port), detail::client_result);
      if (names->late) co_return make_error_code(boost::beast::error::timeout);
      if (unresolved) co_return unresolved;
      for (const auto& entry : found) addresses.push_back(entry.endpoint());
    }
    const auto [unconnected, endpoint] = co_await c.tcp().async_connect(addresses, detail::client_result);
    if (unconnected) co_return unconnected;
    c.peer = endpoint;
    detail::error_code ignored;  // a lost option costs latency, nothing else
    c.tcp().socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
    co_return detail::error_code{};
  }

  [[nodiscard]] static bool reusable(detail::client_connection& c, const response& answer) {
    constexpr std::size_t kept_buffer = 16 * 1024;
    if (!answer.keep_alive() || answer.need_eof() || answer.result_int() < 200 || c.buffer.size() != 0) return false;
    if (c.buffer.capacity() > kept_buffer) c.buffer.shrink_to_fit();
    return true;
  }

  /// Whether a request that failed on a used connection can be sent once more: the server has closed the connection
  /// without an answer, and cannot have served it, or may serve it twice (RFC 9110, section 9.2.2).
  [[nodiscard]] static bool may_repeat(const request::message& r, const detail::exchange_result& result) {
    using boost::beast::http::verb;
    if (result.answered) return false;
    const std::string name = detail::error_name(result.error);
    if (name != "end_of_stream" && name != "connection_reset" && name != "tls_error") return false;
    const verb v = r.method();
    return result.written == 0 || v == verb::get || v == verb::head || v == verb::put || v == verb::delete_ ||
           v == verb::options || v == verb::trace;
  }

  [[nodiscard]] static request::message with_body(boost::beast::http::verb method, std::string body,
                                                  std::string_view content_type) {
    request::message r{method, "/", 11};
    r.set(boost::beast::http::field::content_type, content_type);
    r.body() = std::move(body);
    return r;
  }
  [[nodiscard]] static exporters::url parsed(const std::string& url, const std::vector<std::string>& secrets) {
    std::string expected;
    auto out = exporters::parse_url(url, expected);
    if (out) return *std::move(out);
    const bool unclear = url.find("://") == std::string::npos && url.find('@') != std::string::npos;
    throw config_error{"url", unclear ? std::string{hidden_value} : quoted(redacted_url(url, secrets)), expected};
  }

  std::shared_ptr<shared> shared_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
