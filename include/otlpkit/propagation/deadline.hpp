// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#ifndef OTLPKIT_DISABLE
#include <otlpkit/propagation/carried.hpp>
#endif

#include <chrono>
#include <cstdint>
#include <optional>

namespace otlpkit::inline OTLPKIT_ABI {

#ifdef OTLPKIT_DISABLE

[[nodiscard]] inline std::optional<std::chrono::nanoseconds> time_left() noexcept { return std::nullopt; }

class [[nodiscard]] deadline_scope {
 public:
  explicit deadline_scope(std::chrono::nanoseconds) noexcept {}
  deadline_scope(const deadline_scope&) = delete;
  deadline_scope& operator=(const deadline_scope&) = delete;
  ~deadline_scope() {}
};

#else

/// How long this task's work is still wanted; zero when the deadline has passed, nothing when there is none.
[[nodiscard]] inline std::optional<std::chrono::nanoseconds> time_left() noexcept {
  const detail::carried_entry* const carried = detail::carried_entry::current();
  if (carried == nullptr || carried->deadline_ns == 0) return std::nullopt;
  const std::uint64_t now = platform::steady_ns();
  return std::chrono::nanoseconds{carried->deadline_ns > now ? carried->deadline_ns - now : 0};
}

/// Gives the task a deadline as long as it lives. It can only shorten the one there is; tasks forked meanwhile have it
/// too. For use in one task.
class [[nodiscard]] deadline_scope {
 public:
  /// \param from_now a negative one counts as zero
  explicit deadline_scope(std::chrono::nanoseconds from_now) noexcept {
    constexpr std::int64_t far = std::int64_t{1} << 61;
    const std::int64_t ns = from_now.count() < 0 ? 0 : from_now.count() > far ? far : from_now.count();
    entry_.deadline_ns = platform::steady_ns() + static_cast<std::uint64_t>(ns);
    if (const detail::carried_entry* const outer = detail::carried_entry::current()) {
      entry_.baggage = outer->baggage;
      if (outer->deadline_ns != 0 && outer->deadline_ns < entry_.deadline_ns) entry_.deadline_ns = outer->deadline_ns;
    }
    entry_.push();
  }
  deadline_scope(const deadline_scope&) = delete;
  deadline_scope& operator=(const deadline_scope&) = delete;
  ~deadline_scope() { entry_.remove(); }

 private:
  detail::carried_entry entry_;
};

#endif

/// `wanted`, or what the deadline leaves of it.
[[nodiscard]] inline std::chrono::nanoseconds within_deadline(std::chrono::nanoseconds wanted) noexcept {
  const auto left = time_left();
  return left && *left < wanted ? *left : wanted;
}

}  // namespace otlpkit::inline OTLPKIT_ABI
