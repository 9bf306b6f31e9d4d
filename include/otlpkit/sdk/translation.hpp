// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// How names of metrics and attributes are changed for Prometheus (OpenTelemetry specification, Prometheus exporter,
/// translation_strategy). What a client cannot take is then escaped as it asks.
enum class prometheus_translation : std::uint8_t {
  underscore_escaping_with_suffixes,     ///< `foo.bar` in bytes, a counter: `foo_bar_bytes_total`
  underscore_escaping_without_suffixes,  ///< `foo_bar`
  no_utf8_escaping_with_suffixes,        ///< `foo.bar_bytes_total`
  no_translation,                        ///< `foo.bar`
};

}  // namespace otlpkit::inline OTLPKIT_ABI
