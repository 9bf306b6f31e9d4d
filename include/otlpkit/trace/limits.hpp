// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// How much one span may hold (OpenTelemetry specification, trace SDK, span limits). What goes beyond is dropped, and
/// the span says how much. The defaults are the specification's.
struct span_limits {
  std::uint32_t attributes = 128;
  std::uint32_t attribute_value_length = attribute_limits::none;  ///< code points of a text, bytes of a byte array
  std::uint32_t attribute_depth = 64;                             ///< nesting of arrays and maps
  std::uint32_t events = 128;
  std::uint32_t links = 128;
  std::uint32_t event_attributes = 128;
  std::uint32_t link_attributes = 128;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
