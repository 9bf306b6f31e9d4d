// SPDX-License-Identifier: MIT
#pragma once

// TLS for otlpkit's HTTP client and server. Include it in one file of the program and link OpenSSL (libssl, libcrypto):
// from then on clients know https, and server_options::tls can be used. Nothing else in otlpkit/http sees OpenSSL.

#include <otlpkit/export/tls_context.hpp>
#include <otlpkit/http/client_connection.hpp>
#include <otlpkit/http/session.hpp>

#include <boost/asio/ssl/stream.hpp>

#include <memory>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

using tls_stream = asio::ssl::stream<beast::tcp_stream>;

/// The server's certificate must lead to a trusted CA and name the host it was reached by.
class tls_client_connection final : public client_connection {
 public:
  tls_client_connection(const asio::any_io_executor& ex, std::shared_ptr<asio::ssl::context> context, std::string host,
                        std::uint16_t port)
      : client_connection{host, port}, context_{std::move(context)}, stream_{ex, *context_}, host_{std::move(host)} {}

  beast::tcp_stream& tcp() noexcept override { return stream_.next_layer(); }
  asio::awaitable<error_code> handshake() override {
    const error_code unprepared = exporters::detail::expect_tls_host(stream_, host_);
    if (unprepared) co_return unprepared;
    const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::client, client_result);
    co_return error;
  }
  asio::awaitable<exchange_result> exchange(request::message& r, const client_options& options) override {
    return http::detail::exchange(stream_, buffer, r, options);
  }
  std::string explain(const error_code& e) const override { return exporters::detail::explain_tls_error(stream_, e); }
  /// Session tickets may wait in the socket.
  bool silent_when_idle() const noexcept override { return false; }

 private:
  std::shared_ptr<asio::ssl::context> context_;
  tls_stream stream_;
  std::string host_;
};

/// TLS 1.2 or newer, certificates verified.
[[nodiscard]] inline connection_factory make_tls_connections(const client_tls& files) {
  return
      [context = exporters::detail::client_tls_context(files, "tls.")](
          const asio::any_io_executor& ex, std::string host, std::uint16_t port) -> std::unique_ptr<client_connection> {
        return std::make_unique<tls_client_connection>(ex, context, std::move(host), port);
      };
}

struct tls_layer {
  using stream = tls_stream;
  static constexpr bool tls = true;
  static asio::awaitable<bool> open(stream& s) {
    const auto [error] = co_await s.async_handshake(asio::ssl::stream_base::server, as_result);
    co_return !error;
  }
  static asio::awaitable<void> close(stream& s) {
    co_await s.async_shutdown(as_result);  // many peers close without an answer to close_notify
  }
};

class tls_session_maker final : public session_maker {
 public:
  explicit tls_session_maker(const server_tls& files) {
    exporters::detail::tls_context_maker maker{asio::ssl::context::tls_server, "tls."};
    if (files.certificate.empty() && files.key.empty()) {
      throw config_error{"tls.certificate", quoted(""), "the server's certificate"};
    }
    maker.show("certificate", files.certificate, "key", files.key);
    if (!files.client_authority.empty()) {
      maker.trust("client_authority", files.client_authority);
      maker.context()->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
    context_ = maker.context();
  }
  void start(const std::shared_ptr<server_shared>& shared, asio::ip::tcp::socket socket, peer from) override {
    start_session<tls_layer>(shared, std::move(socket), std::move(from), *context_);
  }

 private:
  std::shared_ptr<asio::ssl::context> context_;
};

inline const bool tls_is_installed = [] {
  installed_client_tls.store(&make_tls_connections, std::memory_order_release);
  installed_server_tls.store(
      [](const server_tls& files) -> std::unique_ptr<session_maker> {
        return std::make_unique<tls_session_maker>(files);
      },
      std::memory_order_release);
  return true;
}();

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
