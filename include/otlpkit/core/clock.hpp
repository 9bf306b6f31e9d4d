// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// Unix time in nanoseconds, as OTLP carries it. Plain integers keep <chrono> (46,000 lines) out of instrumented code.
using unix_ns = std::uint64_t;

/// How ticks become Unix time, fixed once per local root span. Every time of that trace in this process goes through
/// the same two numbers: a child never starts before its parent, and neither a step of the wall clock nor a
/// recalibration bends a trace that is under way.
struct clock_anchor {
  unix_ns wall_at_zero = 0;       ///< Unix time of tick 0, modulo 2^64
  std::uint64_t ns_per_tick = 0;  ///< fixed point, 32 bits after the point; 0: no anchor

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE unix_ns at(std::uint64_t tick) const noexcept {
    return wall_at_zero + scaled(tick, ns_per_tick);
  }

  /// The anchor by which `tick` is at `wall`.
  [[nodiscard]] static clock_anchor through(std::uint64_t tick, unix_ns wall, std::uint64_t ns_per_tick) noexcept {
    return {wall - scaled(tick, ns_per_tick), ns_per_tick};
  }

 private:
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE static unix_ns scaled(std::uint64_t ticks, std::uint64_t rate) noexcept {
    return static_cast<unix_ns>(
        platform::multiply_shift_32(static_cast<std::int64_t>(ticks), static_cast<std::int64_t>(rate)));
  }
};

/// Reads the cheapest monotonic counter and knows how it maps to Unix time.
///
/// The counter is the CPU's where platform::cycle_counter_trusted(), else the steady clock. One writer (the telemetry's
/// background thread) recalibrates about once a second; readers on any thread never wait for it.
class tick_clock {
 public:
  using source = std::uint64_t (*)() noexcept;

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t now() const noexcept {
    const source s = source_.load(platform::relaxed);
    if (s == nullptr) [[likely]]
      return platform::cycle_counter();
    return s();
  }

  /// Whether now() is platform::cycle_counter().
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool counts_cycles() const noexcept {
    return source_.load(platform::relaxed) == nullptr;
  }

  /// How ticks map to Unix time now.
  [[nodiscard]] clock_anchor anchor() const noexcept {
    for (;;) {  // a seqlock of acquire loads and release stores: fences are not modelled by ThreadSanitizer
      const std::uint32_t before = sequence_.load(platform::acquire);
      clock_anchor base;
      base.wall_at_zero = wall_at_zero_.load(platform::acquire);
      base.ns_per_tick = rate_.load(platform::acquire);
      if ((before & 1) == 0 && sequence_.load(platform::relaxed) == before) return base;
    }
  }

  /// Unix time at `tick`, and now.
  [[nodiscard]] unix_ns wall_at(std::uint64_t tick) const noexcept { return anchor().at(tick); }
  [[nodiscard]] unix_ns wall_now() const noexcept { return wall_at(now()); }

  /// Chooses the counter and measures its rate: up to 2 ms, once. Not thread-safe with itself.
  void calibrate() noexcept {
    if (!platform::cycle_counter_trusted()) return use(&platform::steady_ns);
    source_.store(nullptr, platform::relaxed);
    sample(first_tick_, first_wall_);
    std::uint64_t tick = 0;
    unix_ns wall = 0;
    do {
      sample(tick, wall);
    } while (wall - first_wall_ < 2'000'000 && tick - first_tick_ < 1'000'000'000);
    publish(tick, wall, rate(tick, wall));
  }

  /// Counts nanoseconds with `s` instead of the CPU's counter (tests give a clock of their own).
  void use(source s) noexcept {
    source_.store(s, platform::relaxed);
    publish(s(), platform::wall_ns(), one_ns);
  }

  /// As use(), with a wall clock too.
  void use(source s, unix_ns wall) noexcept {
    source_.store(s, platform::relaxed);
    publish(s(), wall, one_ns);
  }

  /// Follows the wall clock; to be called about once a second by one thread.
  void recalibrate() noexcept {
    constexpr std::uint64_t window = 10'000'000'000;
    if (const source s = source_.load(platform::relaxed)) {
      if (s == &platform::steady_ns) publish(s(), platform::wall_ns(), one_ns);
      return;
    }
    std::uint64_t tick = 0;
    unix_ns wall = 0;
    sample(tick, wall);
    const auto error = static_cast<std::int64_t>(anchor().at(tick) - wall);
    const bool stepped = error > 1'000'000 || error < -1'000'000;
    if (stepped || tick <= first_tick_ ||
        wall <= first_wall_) {  // the clock was set, or the machine slept: keep the rate
      first_tick_ = tick;
      first_wall_ = wall;
      return publish(tick, wall, rate_.load(platform::relaxed));
    }
    publish(tick, wall, rate(tick, wall));
    if (wall - first_wall_ > window) {  // forget the older half
      first_tick_ = tick - (tick - first_tick_) / 2;
      first_wall_ = wall - (wall - first_wall_) / 2;
    }
  }

 private:
  static constexpr std::uint64_t one_ns = std::uint64_t{1} << 32;

  /// Both clocks at one moment: the tightest of sixteen brackets.
  static void sample(std::uint64_t& tick, unix_ns& wall) noexcept {
    std::uint64_t best = ~std::uint64_t{0};
    for (int i = 0; i < 16; ++i) {
      const std::uint64_t before = platform::cycle_counter();
      const unix_ns now = platform::wall_ns();
      const std::uint64_t width = platform::cycle_counter() - before;
      if (width < best) {
        best = width;
        tick = before + width / 2;
        wall = now;
      }
    }
  }

  [[nodiscard]] std::uint64_t rate(std::uint64_t tick, unix_ns wall) const noexcept {
    // Some 20 s of difference at most, so a double's 53 bits err by less than a part in 10^15.
    return static_cast<std::uint64_t>(static_cast<double>(wall - first_wall_) /
                                      static_cast<double>(tick - first_tick_) * static_cast<double>(one_ns));
  }

  void publish(std::uint64_t tick, unix_ns wall, std::uint64_t rate) noexcept {
    const std::uint32_t sequence = sequence_.load(platform::relaxed);
    sequence_.store(sequence + 1, platform::relaxed);
    wall_at_zero_.store(clock_anchor::through(tick, wall, rate).wall_at_zero, platform::release);
    rate_.store(rate, platform::release);
    sequence_.store(sequence + 2, platform::release);
  }

  platform::atomic<source> source_{&platform::steady_ns};
  platform::atomic<std::uint32_t> sequence_{0};
  platform::atomic<unix_ns> wall_at_zero_{0};
  platform::atomic<std::uint64_t> rate_{one_ns};
  std::uint64_t first_tick_ = 0;  // the calibrating thread's own, as is the next
  unix_ns first_wall_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
