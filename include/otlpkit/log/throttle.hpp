// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Nanoseconds of an interval: any std::chrono duration (whose header is not needed here), or a number of seconds.
template <class Interval>
[[nodiscard]] constexpr std::int64_t interval_ns(const Interval& interval) noexcept {
  constexpr double most = 9.2e18;
  double ns = 0;
  if constexpr (std::is_arithmetic_v<Interval>) {
    ns = static_cast<double>(interval) * 1e9;
  } else {
    using period = typename Interval::period;
    ns = static_cast<double>(interval.count()) * 1e9 * static_cast<double>(period::num) /
         static_cast<double>(period::den);
  }
  return ns >= most ? INT64_MAX / 2 : ns > 0 ? static_cast<std::int64_t>(ns) : 0;
}

/// Lets one through per interval. Thread-safe: of several that come at once one is let through.
class log_throttle {
 public:
  /// Whether the one that comes at `now` (nanoseconds of any clock above zero) may pass; `suppressed` is then how many
  /// were held back since the last one.
  [[nodiscard]] bool admit(std::int64_t now, std::int64_t interval, std::uint64_t& suppressed) noexcept {
    std::int64_t due = due_.load(platform::relaxed);
    if (now < due || !due_.compare_exchange(due, now + interval, platform::relaxed)) {
      held_back_.fetch_add(1, platform::relaxed);
      return false;
    }
    suppressed = held_back_.exchange(0, platform::relaxed);
    return true;
  }

  template <class Interval>
  [[nodiscard]] bool admit(const Interval& interval, std::uint64_t& suppressed) noexcept {
    return admit(static_cast<std::int64_t>(platform::steady_ns()), interval_ns(interval), suppressed);
  }

 private:
  platform::atomic<std::int64_t> due_{0};
  platform::atomic<std::uint64_t> held_back_{0};
};

/// Lets the first one through.
class log_once {
 public:
  [[nodiscard]] bool first() noexcept {
    return !done_.load(platform::relaxed) && !done_.exchange(true, platform::relaxed);
  }

 private:
  platform::atomic<bool> done_{false};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
