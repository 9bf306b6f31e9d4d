// SPDX-License-Identifier: MIT
#pragma once

// What the users of TLS share: OpenSSL contexts made from files, and what is said of a connection to a host. Sees
// OpenSSL: for headers that are opted into.

#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/tls_files.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// Reads files into a context, and names the setting and the file that cannot be used.
class tls_context_maker {
 public:
  using method = boost::asio::ssl::context::method;

  /// \param settings what the names of settings begin with in error messages: `otlp_http.tls.`
  tls_context_maker(method m, std::string_view settings)
      : context_{std::make_shared<boost::asio::ssl::context>(m)}, settings_{settings} {
    using boost::asio::ssl::context;
    context_->set_options(context::default_workarounds | context::no_tlsv1 | context::no_tlsv1_1);
    // Without it OpenSSL asks for the password of an encrypted key on the terminal, and waits.
    context_->set_password_callback([](std::size_t, context::password_purpose) { return std::string{}; });
  }

  /// Whoever is at the other end must show a certificate of one of these; "" is the system's store.
  void trust(const char* setting, const std::string& file) {
    boost::system::error_code ec;
    if (file.empty()) {
      context_->set_default_verify_paths(ec);
      if (ec) refuse(setting, "", "a readable system trust store", ec);
    } else {
      context_->load_verify_file(file, ec);
      if (ec) refuse(setting, file, "a readable PEM file of trusted certificates", ec);
    }
  }

  /// Shows this certificate. Neither file may be missing if the other one is given.
  void show(const char* certificate_setting, const std::string& certificate, const char* key_setting,
            const std::string& key) {
    if (certificate.empty() != key.empty()) {
      throw config_error{
          settings_ + (key.empty() ? key_setting : certificate_setting), quoted(""),
          key.empty() ? "the private key of " + quoted(certificate, 300) : "the certificate of " + quoted(key, 300)};
    }
    if (certificate.empty()) return;
    boost::system::error_code ec;
    context_->use_certificate_chain_file(certificate, ec);
    if (ec) refuse(certificate_setting, certificate, "a readable PEM certificate chain", ec);
    context_->use_private_key_file(key, boost::asio::ssl::context::pem, ec);
    if (ec) refuse(key_setting, key, "a readable PEM key, not encrypted, that fits the certificate", ec);
  }

  [[nodiscard]] const std::shared_ptr<boost::asio::ssl::context>& context() const noexcept { return context_; }

 private:
  [[noreturn]] void refuse(const char* setting, const std::string& file, std::string expected,
                           const boost::system::error_code& ec) const {
    throw config_error{settings_ + setting, quoted(file, 300), std::move(expected) + " (" + ec.message() + ")"};
  }

  std::shared_ptr<boost::asio::ssl::context> context_;
  std::string settings_;
};

/// For clients: certificates are verified.
[[nodiscard]] inline std::shared_ptr<boost::asio::ssl::context> client_tls_context(const tls_files& files,
                                                                                   std::string_view settings) {
  tls_context_maker maker{boost::asio::ssl::context::tls_client, settings};
  maker.context()->set_verify_mode(boost::asio::ssl::verify_peer);
  maker.trust("certificate", files.certificate);
  maker.show("client_certificate", files.client_certificate, "client_key", files.client_key);
  return maker.context();
}

/// Before the handshake: the other side must be `host`, and is told so.
template <class Stream>
[[nodiscard]] boost::system::error_code expect_tls_host(Stream& stream, const std::string& host) {
  boost::system::error_code ec;
  boost::asio::ip::make_address(host, ec);
  const bool is_name = static_cast<bool>(ec);
  // SNI carries names only (RFC 6066, section 3).
  if (is_name && SSL_set_tlsext_host_name(stream.native_handle(), host.c_str()) != 1) {
    return boost::asio::error::no_memory;
  }
  stream.set_verify_callback(boost::asio::ssl::host_name_verification{host}, ec);
  return ec;
}

/// Alerts and certificates that do not verify stay as they are; a connection cut off is not among them.
[[nodiscard]] inline bool is_final_tls_error(const boost::system::error_code& ec) noexcept {
  return ec.category() == boost::asio::error::get_ssl_category();
}

/// An error with what was wrong with the certificate, if that was it.
template <class Stream>
[[nodiscard]] std::string explain_tls_error(const Stream& stream, const boost::system::error_code& ec) {
  std::string text = ec.message();
  auto* const ssl = const_cast<Stream&>(stream).native_handle();  // not const, yet only read
  const long verified = SSL_get_verify_result(ssl);
  if (is_final_tls_error(ec) && verified != X509_V_OK) {
    text += std::string{": "} + X509_verify_cert_error_string(verified);
  }
  return text;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
