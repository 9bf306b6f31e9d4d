// SPDX-License-Identifier: MIT
#pragma once

// TLS for the OTLP/HTTP exporter. Include it in one file of the program and link OpenSSL (libssl, libcrypto); every
// exporter with an https endpoint uses it from then on. Nothing else in otlpkit sees OpenSSL.

#include <otlpkit/config.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/transport.hpp>
#include <otlpkit/sdk/url.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
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
    error_code ec;
    net::ip::make_address(host_, ec);
    const bool is_name = static_cast<bool>(ec);
    // SNI carries names only (RFC 6066, section 3).
    if (is_name && SSL_set_tlsext_host_name(stream_.native_handle(), host_.c_str()) != 1) {
      co_return error_code{net::error::no_memory};
    }
    stream_.set_verify_callback(net::ssl::host_name_verification{host_}, ec);
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

  /// Alerts and certificates that do not verify stay as they are; a connection cut off is not among them.
  bool is_final(error_code ec) const noexcept override { return ec.category() == net::error::get_ssl_category(); }

  std::string explain(error_code ec) const override {
    std::string text = ec.message();
    auto* const ssl = const_cast<net::ssl::stream<tcp::socket>&>(stream_).native_handle();  // not const, yet only read
    const long verified = SSL_get_verify_result(ssl);
    if (is_final(ec) && verified != X509_V_OK) text += std::string{": "} + X509_verify_cert_error_string(verified);
    return text;
  }

 private:
  std::shared_ptr<net::ssl::context> context_;
  net::ssl::stream<tcp::socket> stream_;
  std::string host_;
};

[[noreturn]] inline void refuse_tls_file(const char* setting, const std::string& file, std::string expected,
                                         const error_code& ec) {
  throw config_error{std::string{"otlp_http.tls."} + setting, quoted(file, 300),
                     std::move(expected) + " (" + ec.message() + ")"};
}

}  // namespace detail

/// Makes TLS connections to one endpoint: TLS 1.2 or newer, certificates verified. The files are read now, once.
/// \throws config_error that names the file that cannot be used
[[nodiscard]] inline transport_factory make_tls_transports(const url& to, const tls_files& files) {
  auto context = std::make_shared<net::ssl::context>(net::ssl::context::tls_client);
  error_code ec;
  context->set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                       net::ssl::context::no_tlsv1_1);
  context->set_verify_mode(net::ssl::verify_peer);
  // Without it OpenSSL asks for the password of an encrypted key on the terminal, and waits.
  context->set_password_callback([](std::size_t, net::ssl::context::password_purpose) { return std::string{}; });
  if (files.certificate.empty()) {
    context->set_default_verify_paths(ec);
    if (ec) detail::refuse_tls_file("certificate", "", "a readable system trust store", ec);
  } else {
    context->load_verify_file(files.certificate, ec);
    if (ec)
      detail::refuse_tls_file("certificate", files.certificate, "a readable PEM file of trusted certificates", ec);
  }
  if (files.client_certificate.empty() != files.client_key.empty()) {
    const bool no_key = files.client_key.empty();
    throw config_error{no_key ? "otlp_http.tls.client_key" : "otlp_http.tls.client_certificate", quoted(""),
                       no_key ? "the private key of " + quoted(files.client_certificate, 300)
                              : "the certificate of " + quoted(files.client_key, 300)};
  }
  if (!files.client_certificate.empty()) {
    context->use_certificate_chain_file(files.client_certificate, ec);
    if (ec)
      detail::refuse_tls_file("client_certificate", files.client_certificate, "a readable PEM certificate chain", ec);
    context->use_private_key_file(files.client_key, net::ssl::context::pem, ec);
    if (ec) {
      detail::refuse_tls_file("client_key", files.client_key,
                              "a readable PEM key, not encrypted, that fits the certificate", ec);
    }
  }
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
