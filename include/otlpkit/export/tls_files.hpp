// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <string>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// Files for TLS, all PEM. Empty: the system's trust store, no client certificate.
struct tls_files {
  std::string certificate = {};         ///< trusted CAs for the server (OTEL_EXPORTER_OTLP_CERTIFICATE)
  std::string client_certificate = {};  ///< own certificate chain (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE)
  std::string client_key = {};          ///< its private key, not encrypted (OTEL_EXPORTER_OTLP_CLIENT_KEY)
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
