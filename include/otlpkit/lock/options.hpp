// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/platform.hpp>
#include <otlpkit/resilience/rejected_error.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::lock {

/// How locks of one kind behave.
struct lock_options {
  std::string name =
      "default";  ///< the kind of lock: in span names, metrics and, before a colon, the keys of the store
  /// The store frees a lock that was not renewed for so long. A millisecond to a year.
  std::chrono::nanoseconds ttl = std::chrono::seconds{30};
  /// So long before its end a lock counts as lost: for clocks that run apart, and for what is under way then.
  std::chrono::nanoseconds margin = std::chrono::milliseconds{50};
  std::chrono::nanoseconds max_wait = std::chrono::seconds{10};  ///< how long acquire() waits; 0: one attempt
  std::chrono::nanoseconds poll_interval = std::chrono::milliseconds{100};  ///< between attempts
  double jitter = 0.5;  ///< each interval is up to this share shorter or longer, at random. [0, 1]
  /// Blocking locks: a thread of the lock object's renews what is held every third of the ttl.
  bool renew_in_background = false;
  bool record_key = false;                       ///< otlpkit.lock.key on spans
  resilience::time_source* time = nullptr;       ///< nullptr: system_time()
  std::uint64_t (*random)() noexcept = nullptr;  ///< for the jitter; nullptr: the system's
};

/// The lock was not to be had in time.
class lock_busy_error : public rejected_error {
 public:
  explicit lock_busy_error(std::string_view name)
      : rejected_error{rejection::timed_out, name, "the lock is held elsewhere"} {}
};

/// What was held is held no more: its time was over, or the store says that it is another's.
class lock_lost_error : public std::runtime_error {
 public:
  explicit lock_lost_error(const std::string& name) : std::runtime_error{name + ": the lock was lost"} {}
};

namespace detail {

inline void check(const lock_options& o) {
  const auto text = [](std::chrono::nanoseconds d) { return std::to_string(d.count()) + " ns"; };
  using namespace std::chrono_literals;
  constexpr std::chrono::nanoseconds year = 365 * 24h;  // sums with the time stay within the clock
  if (o.ttl < 1ms || o.ttl > year) throw config_error{"lock_options.ttl", text(o.ttl), "a millisecond to a year"};
  if (o.margin < 0ns || o.margin >= o.ttl)
    throw config_error{"lock_options.margin", text(o.margin), "less than the ttl"};
  if (o.poll_interval <= 0ns || o.poll_interval > year)
    throw config_error{"lock_options.poll_interval", text(o.poll_interval), "more than zero, a year at most"};
  if (!(o.jitter >= 0 && o.jitter <= 1))
    throw config_error{"lock_options.jitter", std::to_string(o.jitter), "a share from 0 to 1"};
}

[[nodiscard]] inline std::uint64_t system_random() noexcept {
  std::uint64_t word = 0;
  platform::fill_random(&word, 1);
  return word;
}

/// 32 hexadecimal digits nobody else has.
[[nodiscard]] inline std::string new_owner() {
  std::uint64_t words[2] = {};
  platform::fill_random(words, 2);
  std::string out;
  for (const std::uint64_t w : words) {
    for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[w >> shift & 15];
  }
  return out;
}

/// When to ask for a lock again. Fed with the time; waits itself for nothing.
class poll_schedule {
 public:
  poll_schedule(const lock_options& o, resilience::time_point now, std::chrono::nanoseconds max_wait) noexcept
      : options_{o}, deadline_{max_wait > far ? now + far : now + max_wait} {}

  /// How long to wait before the next attempt; nothing when it is time to give up. The last attempt is at the deadline.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> next(resilience::time_point now) noexcept {
    if (now >= deadline_) return std::nullopt;
    const std::uint64_t random = options_.random != nullptr ? options_.random() : system_random();
    const double share = static_cast<double>(random >> 11) * 0x1p-53;  // [0, 1)
    const double factor = 1 + options_.jitter * (2 * share - 1);
    auto wait = std::chrono::nanoseconds{
        static_cast<std::int64_t>(static_cast<double>(options_.poll_interval.count()) * factor)};
    if (wait < std::chrono::milliseconds{1}) wait = std::chrono::milliseconds{1};
    const auto left = deadline_ - now;
    return wait < left ? wait : left;
  }

 private:
  static constexpr std::chrono::nanoseconds far = std::chrono::hours{24 * 365};

  const lock_options& options_;
  resilience::time_point deadline_;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::lock
