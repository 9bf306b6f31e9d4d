// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <chrono>
#include <thread>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

using clock = std::chrono::steady_clock;
using time_point = clock::time_point;
using nanoseconds = std::chrono::nanoseconds;

/// `now + d`, a century at most: durations may be of any length, and mean for ever then, but the clock ends some day.
template <class Duration>
[[nodiscard]] constexpr time_point time_after(time_point now, Duration d) noexcept {
  constexpr std::chrono::hours century{24 * 36'525};
  return now + (d < century ? nanoseconds{d} : nanoseconds{century});
}

/// Where strategies take the time from, and how they wait. Tests replace it (testing/manual_time.hpp). Usable from any
/// thread at once; must live as long as the strategies that refer to it.
class time_source {
 public:
  time_source() = default;
  time_source(const time_source&) = delete;
  time_source& operator=(const time_source&) = delete;
  virtual ~time_source() = default;

  [[nodiscard]] virtual time_point now() noexcept { return clock::now(); }

  /// How blocking forms wait where nothing ends it early.
  virtual void sleep_for(nanoseconds d) { std::this_thread::sleep_for(d); }

  /// Something is about to wait for `d`, which other things may end: an awaitable form, a thread that may be stopped.
  /// \return how long the timer shall run
  virtual nanoseconds timer_for(nanoseconds d) { return d; }
};

/// The steady clock and the thread's sleep.
[[nodiscard]] inline time_source& system_time() noexcept {
  static time_source source;
  return source;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
