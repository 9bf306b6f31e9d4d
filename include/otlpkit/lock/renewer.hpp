// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/lock/hold.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::lock::detail {

/// A thread that renews what is held, every third of its ttl. It starts with the first lock, and ends with this.
class renewer {
 public:
  /// \param renew asks the store and tells the hold; must not throw
  /// \param pause before a store that failed is asked again
  renewer(std::function<void(hold&)> renew, std::chrono::nanoseconds pause, resilience::time_source& time)
      : renew_{std::move(renew)}, pause_{pause}, time_{time} {}
  renewer(const renewer&) = delete;
  renewer& operator=(const renewer&) = delete;
  ~renewer() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  /// Throws std::system_error when there can be no thread.
  void add(const std::shared_ptr<hold>& h) {
    const std::lock_guard lock{mutex_};
    held_.push_back({h, h->renew_at()});
    if (!thread_.joinable()) thread_ = std::thread{[this] { run(); }};
    changed_.notify_all();
  }

 private:
  struct item {
    std::weak_ptr<hold> what;
    resilience::time_point due;
  };

  void run() {
    std::unique_lock lock{mutex_};
    while (!stopping_) {
      const auto first = std::min_element(held_.begin(), held_.end(), [](auto& a, auto& b) { return a.due < b.due; });
      if (first == held_.end()) {
        changed_.wait(lock);
        continue;
      }
      const auto now = time_.now();
      if (first->due > now) {
        changed_.wait_for(lock, time_.timer_for(first->due - now));
        continue;
      }
      const std::shared_ptr<hold> h = first->what.lock();
      held_.erase(first);
      if (h == nullptr) continue;
      lock.unlock();
      renew_(*h);
      const bool goes_on = h->valid();
      const auto due = std::max(h->renew_at(), time_.now() + pause_);
      lock.lock();
      if (goes_on) held_.push_back({h, due});
    }
  }

  std::function<void(hold&)> renew_;
  std::chrono::nanoseconds pause_;
  resilience::time_source& time_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<item> held_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::lock::detail
