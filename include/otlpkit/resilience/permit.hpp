// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// How many calls may go: what a token_bucket and a sliding_window both understand.
struct permit_rate {
  double permits_per_second = 100;  ///< sustained, above zero
  double burst = 100;               ///< at once after a quiet time, at least one
  std::size_t queue_limit = 0;      ///< permits of the future that may be taken: callers who wait
};

/// What a limiter answers.
struct permit {
  bool granted;
  nanoseconds wait;  ///< granted: before the call may go; refused: before it is worth asking again
};

/// Nanoseconds, rounded up so that who waits for so long does not come too early; at most a hundred years.
[[nodiscard]] constexpr nanoseconds nanoseconds_up(double seconds) noexcept {
  constexpr std::int64_t century = 3'153'600'000;
  if (!(seconds < static_cast<double>(century))) return std::chrono::seconds{century};
  return nanoseconds{static_cast<std::int64_t>(seconds * 1e9) + 1};
}

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
