// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// What an instrument measures (OpenTelemetry specification, metrics API).
enum class instrument_kind : std::uint8_t {
  counter,
  up_down_counter,
  gauge,
  histogram,
  observable_counter,
  observable_up_down_counter,
  observable_gauge
};

/// What becomes of measurements.
enum class aggregation_kind : std::uint8_t { drop, sum, last_value, explicit_buckets, exponential_buckets };

[[nodiscard]] constexpr bool is_observable(instrument_kind kind) noexcept {
  return kind >= instrument_kind::observable_counter;
}

}  // namespace otlpkit::inline OTLPKIT_ABI
