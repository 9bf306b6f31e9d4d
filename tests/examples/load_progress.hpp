// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

/// How far a load is: its clients count, and whoever disturbs it waits.
class load_progress {
 public:
  explicit load_progress(int all) noexcept : all_{all} {}

  void one_done() noexcept {
    ++done_;
    done_.notify_all();
  }
  /// Whatever is done or not: nobody needs to wait any more.
  void over() noexcept {
    done_ = all_;
    done_.notify_all();
  }
  [[nodiscard]] bool is_over() const noexcept { return done_ >= all_; }

  /// Waits until so much of it is done, from 0 to 1.
  void wait_for(double share) const noexcept {
    for (int n = done_; n < static_cast<int>(all_ * share); n = done_) done_.wait(n);
  }

 private:
  const int all_;
  std::atomic<int> done_{0};
};
