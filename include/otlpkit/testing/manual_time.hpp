// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <mutex>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::testing {

/// A time source that stands still until it is told, or until a strategy waits: then it is at the end of the wait at
/// once. Strategies are tested with it without waiting. Usable from any thread.
class manual_time : public resilience::time_source {
 public:
  [[nodiscard]] resilience::time_point now() noexcept override {
    const std::lock_guard lock{mutex_};
    return now_;
  }
  void sleep_for(resilience::nanoseconds d) override { wait(d); }
  resilience::nanoseconds timer_for(resilience::nanoseconds d) override {
    wait(d);
    return resilience::nanoseconds::zero();
  }

  /// Lets time pass.
  void advance(resilience::nanoseconds d) noexcept {
    const std::lock_guard lock{mutex_};
    now_ += d;
  }

  /// How long strategies have waited since the last call, wait by wait.
  [[nodiscard]] std::vector<resilience::nanoseconds> take_waits() {
    const std::lock_guard lock{mutex_};
    return std::exchange(waits_, {});
  }

 private:
  void wait(resilience::nanoseconds d) {
    const std::lock_guard lock{mutex_};
    waits_.push_back(d);
    now_ += d;
  }

  std::mutex mutex_;
  resilience::time_point now_{std::chrono::hours{1}};
  std::vector<resilience::nanoseconds> waits_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::testing
