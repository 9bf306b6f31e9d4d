// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/http/message.hpp>
#include <otlpkit/http/router.hpp>
#include <otlpkit/http/semantics.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// Serves a request. The request lives until the response is sent; an exception becomes a 500.
using handler = std::function<boost::asio::awaitable<response>(request&)>;

using router = basic_router<handler>;

/// Files for TLS, all PEM. TLS wants <otlpkit/http/tls.hpp> in one file of the program, and OpenSSL.
struct server_tls {
  std::string certificate = {};       ///< the server's certificate chain; "": plain HTTP
  std::string key = {};               ///< its private key, not encrypted
  std::string client_authority = {};  ///< CAs: clients must show a certificate of one of them; "": they need none
};

/// How much, and for how long, a client may ask of a server.
struct server_options {
  std::uint32_t max_header_bytes = 16 * 1024;  ///< beyond it: 431
  std::uint64_t max_body_bytes = 1024 * 1024;  ///< beyond it: 413
  std::size_t max_connections = 4096;          ///< beyond it: 503 and closed at once
  std::chrono::milliseconds header_timeout{
      10'000};  ///< for all of a request's header, or TLS handshake; beyond it: closed
  std::chrono::milliseconds body_timeout{30'000};   ///< for all of a request's body; beyond it: closed
  std::chrono::milliseconds idle_timeout{60'000};   ///< between two requests of a connection; beyond it: closed
  std::chrono::milliseconds write_timeout{30'000};  ///< for a client to take the response
  std::chrono::milliseconds max_deadline{60'000};  ///< longest deadline a client may set for a handler; 0: none is read
  server_tls tls{};
  bool trust_forwarded = true;  ///< believe Forwarded and X-Forwarded-* about client, host and scheme
  capture_options capture{};
  known_methods methods{};

  /// \throws config_error naming the first that cannot be used
  void check() const {
    const auto positive = [](const char* name, auto value) {
      if (value <= 0) throw config_error{name, std::to_string(value), "a number above zero"};
    };
    positive("max_header_bytes", static_cast<std::int64_t>(max_header_bytes));
    positive("max_connections", static_cast<std::int64_t>(max_connections));
    positive("header_timeout", header_timeout.count());
    positive("body_timeout", body_timeout.count());
    positive("idle_timeout", idle_timeout.count());
    positive("write_timeout", write_timeout.count());
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
