// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/permit.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// Never lets more than `burst` calls through in any window of `burst / permits_per_second` seconds, wherever the
/// window begins. A token bucket of the same rate lets up to twice as many through: its burst, and what comes in
/// meanwhile.
///
/// Exact, at the price of memory: eight bytes for each of the last `burst` permits. Pure state, as token_bucket, and as
/// little thread-safe.
class sliding_window {
 public:
  sliding_window(permit_rate rate, time_point now)
      : most_{static_cast<std::size_t>(rate.burst)}, queue_limit_{rate.queue_limit},
        window_{nanoseconds_up(static_cast<double>(most_) / rate.permits_per_second)}, latest_{now} {}

  /// Takes a permit, or one of the future if fewer than `queue_limit` of those are taken. Throws std::bad_alloc.
  [[nodiscard]] permit acquire(time_point now) {
    now = latest_ = std::max(now, latest_);  // threads may arrive with slightly older clock readings
    time_point due = used_.empty() ? now : std::max(now, used_.back());
    if (used_.size() >= most_) due = std::max(due, used_[used_.size() - most_] + window_);
    if (due > now) {
      const auto waiting = static_cast<std::size_t>(used_.end() - later_than(now));
      if (waiting >= queue_limit_) return {false, (queue_limit_ == 0 ? due : used_[used_.size() - queue_limit_]) - now};
    }
    used_.push_back(due);
    // When all that wait give up, what remains must still be a whole window.
    if (used_.size() > most_ + queue_limit_) used_.pop_front();
    return {true, due - now};
  }

  /// Gives back what an acquire() that waits was granted for `due`.
  void give_back(time_point due) noexcept {
    const auto found = std::lower_bound(used_.begin(), used_.end(), due);
    if (found != used_.end() && *found == due) used_.erase(found);
  }

  /// Permits that could go at once.
  [[nodiscard]] double available(time_point now) const noexcept {
    const auto taken = static_cast<std::size_t>(used_.end() - later_than(now - window_));
    return static_cast<double>(most_ - std::min(most_, taken));
  }

  /// Whether a new window would say the same: forgetting this one changes nothing.
  [[nodiscard]] bool idle(time_point now) const noexcept { return used_.empty() || used_.back() + window_ <= now; }

 private:
  [[nodiscard]] std::deque<time_point>::const_iterator later_than(time_point t) const noexcept {
    return std::upper_bound(used_.begin(), used_.end(), t);
  }

  std::size_t most_;
  std::size_t queue_limit_;
  nanoseconds window_;
  time_point latest_;
  std::deque<time_point> used_;  ///< when permits may be used, in order; those of the future are waited for
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
