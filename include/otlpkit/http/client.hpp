// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/http/client_call.hpp>
#include <otlpkit/http/connection_pool.hpp>
#include <otlpkit/http/message.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

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
                                                      std::string url_template = {}, unsigned resend_count = 0) const;

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
    detail::connection_factory plain = detail::plain_connections();
    std::mutex mutex;
    detail::connection_factory tls;
  };

  [[nodiscard]] static request::message with_body(boost::beast::http::verb method, std::string body,
                                                  std::string_view content_type) {
    request::message r{method, "/", 11};
    r.set(boost::beast::http::field::content_type, content_type);
    r.body() = std::move(body);
    return r;
  }

  std::shared_ptr<shared> shared_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http

#ifndef OTLPKIT_SEPARATE_COMPILATION
#include <otlpkit/http/impl/client.hpp>
#endif
