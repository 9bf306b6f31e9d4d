// SPDX-License-Identifier: MIT
#pragma once

// TLS for the OTLP/HTTP exporter. Include it in one file of the program and link OpenSSL (libssl, libcrypto); every
// exporter with an https endpoint uses it from then on. Nothing else in otlpkit sees OpenSSL.

#include <otlpkit/config.hpp>
#include <otlpkit/export/tls_context.hpp>
#include <otlpkit/export/transport.hpp>
#include <otlpkit/sdk/url.hpp>

#include <boost/asio/ssl/stream.hpp>

#include <memory>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

namespace detail {

/// TLS over TCP. The server's certificate must lead to a trusted CA and name the host it was reached by.
class tls_transport final : public transport {
 public:
  tls_transport(net::io_context& io, std::shared_ptr<net::ssl::context> context, std::string host)
      : context_{std::move(context)}, stream_{io, *context_}, host_{std::move(host)} {}

  tcp::socket& socket() noexcept override { return stream_.next_layer(); }

  net::awaitable<error_code> handshake() override {
    error_code ec = expect_tls_host(stream_, host_);
    if (ec) co_return ec;
    co_await stream_.async_handshake(net::ssl::stream_base::client, net::redirect_error(net::use_awaitable, ec));
    co_return ec;
  }

  void write(std::span<const net::const_buffer> data, write_handler done) override {
    net::async_write(stream_, data, [done = std::move(done)](error_code ec, std::size_t) { done(ec); });
  }
  net::awaitable<std::size_t> read_some(net::mutable_buffer into, error_code& ec) override {
    co_return co_await stream_.async_read_some(into, net::redirect_error(net::use_awaitable, ec));
  }
  net::awaitable<void> farewell() override {
    error_code ignored;  // many peers close without an answer to close_notify
    co_await stream_.async_shutdown(net::redirect_error(net::use_awaitable, ignored));
  }

  /// Session tickets may wait in the socket.
  bool silent_when_idle() const noexcept override { return false; }

  bool is_final(error_code ec) const noexcept override { return is_final_tls_error(ec); }

  std::string explain(error_code ec) const override { return explain_tls_error(stream_, ec); }

 private:
  std::shared_ptr<net::ssl::context> context_;
  net::ssl::stream<tcp::socket> stream_;
  std::string host_;
};

}  // namespace detail

/// Makes TLS connections to one endpoint: TLS 1.2 or newer, certificates verified. The files are read now, once.
/// \throws config_error that names the file that cannot be used
[[nodiscard]] inline transport_factory make_tls_transports(const url& to, const tls_files& files) {
  const auto context = detail::client_tls_context(files, "otlp_http.tls.");
  return [context, host = to.host](net::io_context& io) {
    return std::make_shared<detail::tls_transport>(io, context, host);
  };
}

namespace detail {
inline const bool tls_is_installed = [] {
  installed_tls.store(&make_tls_transports, std::memory_order_release);
  return true;
}();
}  // namespace detail

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
