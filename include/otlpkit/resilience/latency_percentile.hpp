// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/time_source.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// A percentile of the last 128 durations, exact. Asked more often than told: it is worked out again only after eight
/// new ones. Pure state, not thread-safe.
class latency_percentile {
 public:
  static constexpr std::size_t window = 128;
  static constexpr std::size_t enough = 20;  ///< with fewer durations there is no percentile
  static constexpr std::size_t stale_after = 8;

  /// \param share which one: 0.95 is the duration that 95 of 100 do not exceed
  constexpr explicit latency_percentile(double share) noexcept : share_{std::clamp(share, 0.0, 1.0)} {}

  constexpr void add(nanoseconds took) noexcept {
    last_[next_] = took;
    next_ = (next_ + 1) % window;
    count_ = std::min(count_ + 1, window);
    ++news_;
  }

  /// Nothing while too little is known.
  [[nodiscard]] std::optional<nanoseconds> value() noexcept {
    if (count_ < enough) return std::nullopt;
    if (!value_ || news_ >= stale_after) {
      std::array<nanoseconds, window> sorted = last_;
      const auto rank = static_cast<std::size_t>(std::ceil(share_ * static_cast<double>(count_)));
      const auto nth = sorted.begin() + static_cast<std::ptrdiff_t>(rank == 0 ? 0 : rank - 1);
      std::nth_element(sorted.begin(), nth, sorted.begin() + static_cast<std::ptrdiff_t>(count_));
      value_ = *nth;
      news_ = 0;
    }
    return value_;
  }

 private:
  double share_;
  std::array<nanoseconds, window> last_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
  std::size_t news_ = 0;
  std::optional<nanoseconds> value_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
