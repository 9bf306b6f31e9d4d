// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/tls_files.hpp>
#include <otlpkit/http/semantics.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// Authorities a server is trusted by, and the client's own certificate: `{.certificate = "ca.pem"}`. Certificates are
/// always verified, the host's name included. https wants <otlpkit/http/tls.hpp> in one file of the program.
using client_tls = exporters::tls_files;

struct client_options {
  std::string base_url{};                     ///< goes in front of URLs that begin with `/`
  std::chrono::milliseconds timeout{30'000};  ///< for one request, from name look-up to the end of the response
  std::uint32_t max_header_bytes = 64 * 1024;
  std::uint64_t max_body_bytes = 8 * 1024 * 1024;
  std::size_t max_connections_per_host = 64;       ///< requests beyond it wait for one of them
  std::chrono::milliseconds idle_timeout{30'000};  ///< a connection unused for so long is not used again; 0: none is
  bool send_deadline = true;                       ///< tell the server how long the answer is wanted (timeout_header)
  client_tls tls{};
  capture_options capture{};
  known_methods methods{};

  /// \throws config_error naming the first that cannot be used
  void check() const {
    const auto fail = [](const char* name, auto value, const char* expected) {
      throw config_error{name, std::to_string(value), expected};
    };
    if (timeout.count() <= 0) fail("timeout", timeout.count(), "a number above zero");
    if (max_header_bytes == 0) fail("max_header_bytes", 0, "a number above zero");
    if (max_connections_per_host == 0) fail("max_connections_per_host", 0, "a number above zero");
    if (idle_timeout.count() < 0) fail("idle_timeout", idle_timeout.count(), "zero or more");
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
