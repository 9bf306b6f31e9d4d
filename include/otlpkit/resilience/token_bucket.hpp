// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/permit.hpp>

#include <algorithm>
#include <chrono>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// Lets `burst` calls through at once and `permits_per_second` over time.
///
/// Pure state: it owns no clock and never waits. Feed it `now`, and it says whether a call may go, from when on, or how
/// long until it is worth asking again. Not thread-safe: rate_limiter adds the lock.
class token_bucket {
 public:
  /// Starts full, as of `now`.
  constexpr token_bucket(permit_rate rate, time_point now) noexcept
      : rate_{rate}, permits_{rate.burst}, filled_at_{now} {}

  /// Takes a permit, or one of the future if fewer than `queue_limit` of those are taken.
  [[nodiscard]] constexpr permit acquire(time_point now) noexcept {
    refill(now);
    const double left = permits_ - 1;
    const double owed = left + static_cast<double>(rate_.queue_limit);
    // The wait is counted from filled_at_, which is later than `now` if another thread's clock reading was.
    if (owed < -rounding) return {false, from(now, -owed)};
    permits_ = left;
    return {true, left < -rounding ? from(now, -left) : nanoseconds{0}};
  }

  /// Gives back what an acquire() that waits was granted.
  constexpr void give_back(time_point) noexcept { permits_ = std::min(rate_.burst, permits_ + 1); }

  /// Permits that could go at once.
  [[nodiscard]] constexpr double available(time_point now) noexcept {
    refill(now);
    return std::max(0.0, permits_);
  }

  /// Whether a new bucket would say the same: forgetting this one changes nothing.
  [[nodiscard]] constexpr bool idle(time_point now) noexcept {
    refill(now);
    return permits_ >= rate_.burst;
  }

 private:
  /// Sums of fractions miss a whole permit by less than this.
  static constexpr double rounding = 1e-9;

  constexpr void refill(time_point now) noexcept {
    if (now <= filled_at_) return;  // threads may arrive with slightly older clock readings
    const double seconds = static_cast<double>((now - filled_at_).count()) / 1e9;
    permits_ = std::min(rate_.burst, permits_ + seconds * rate_.permits_per_second);
    filled_at_ = now;
  }

  /// How long from `now` until `permits` more are there.
  [[nodiscard]] constexpr nanoseconds from(time_point now, double permits) const noexcept {
    return (filled_at_ - now) + nanoseconds_up(permits / rate_.permits_per_second);
  }

  permit_rate rate_;
  double permits_;  ///< below zero: permits of the future that are taken
  time_point filled_at_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
