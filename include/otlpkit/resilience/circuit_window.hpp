// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/time_source.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// What a circuit breaker looks back on.
struct circuit_counts {
  std::int64_t calls = 0;
  std::int64_t failures = 0;
  std::int64_t slow = 0;

  [[nodiscard]] double failure_ratio() const noexcept { return ratio(failures); }
  [[nodiscard]] double slow_ratio() const noexcept { return ratio(slow); }

  void add(const circuit_counts& o) noexcept { calls += o.calls, failures += o.failures, slow += o.slow; }
  void subtract(const circuit_counts& o) noexcept { calls -= o.calls, failures -= o.failures, slow -= o.slow; }

 private:
  [[nodiscard]] double ratio(std::int64_t n) const noexcept {
    return calls == 0 ? 0 : static_cast<double>(n) / static_cast<double>(calls);
  }
};

/// Counts the last `size` calls, or those of the last `duration` in ten steps: a step leaves as a whole, so a call
/// counts for between nine tenths of the duration and all of it. Pure state, of fixed size. Not thread-safe.
class circuit_window {
 public:
  static constexpr std::size_t steps = 10;

  /// The last `size` calls.
  [[nodiscard]] static circuit_window of_calls(std::size_t size) { return circuit_window{size, nanoseconds{0}, {}}; }
  /// The calls of the last `duration`, which begins to be counted at `now`.
  [[nodiscard]] static circuit_window of_time(nanoseconds duration, time_point now) {
    const nanoseconds step = duration / static_cast<nanoseconds::rep>(steps);
    return circuit_window{steps, step.count() > 0 ? step : nanoseconds{1}, now};
  }

  void add(time_point now, bool failed, bool slow) noexcept {
    const circuit_counts one{1, failed ? 1 : 0, slow ? 1 : 0};
    forward(now);
    if (step_.count() == 0) {
      total_.subtract(parts_[next_]);  // the call that is as many calls ago
      parts_[next_] = one;
      next_ = (next_ + 1) % parts_.size();
    } else {
      parts_[next_].add(one);
    }
    total_.add(one);
  }

  [[nodiscard]] circuit_counts counts(time_point now) noexcept {
    forward(now);
    return total_;
  }

  void clear() noexcept {
    for (circuit_counts& part : parts_) part = {};
    total_ = {};
  }

 private:
  circuit_window(std::size_t parts, nanoseconds step, time_point now) : parts_(parts), step_{step}, step_begins_{now} {}

  /// Lets steps go whose time is over. A clock reading older than the last one changes nothing.
  void forward(time_point now) noexcept {
    if (step_.count() == 0 || now < step_begins_ + step_) return;
    const auto passed = (now - step_begins_) / step_;
    step_begins_ += step_ * passed;
    for (std::int64_t i = 0; i < passed && i < static_cast<std::int64_t>(parts_.size()); ++i) {
      next_ = (next_ + 1) % parts_.size();
      total_.subtract(parts_[next_]);
      parts_[next_] = {};
    }
  }

  std::vector<circuit_counts> parts_;  // calls or steps, a ring
  std::size_t next_ = 0;               // the call to be forgotten next, or the step that runs
  nanoseconds step_;                   // zero: the parts are calls
  time_point step_begins_;
  circuit_counts total_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
