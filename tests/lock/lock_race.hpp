// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>

/// Threads that work under one lock again and again, and what was wrong with it.
struct lock_race {
  std::atomic<int> wrong{0};  ///< somebody else was inside, or a token did not grow
  int done = 0;               ///< guarded by the lock itself, as the token is

  /// Called by each thread. `locks`: a distributed_lock
  void run(auto& locks, int times) {
    for (int i = 0; i < times; ++i) {
      locks.work("a", [&](auto& held) {
        if (++inside_ != 1 || held.fencing_token() <= token_) ++wrong;
        token_ = held.fencing_token();
        ++done;
        --inside_;
      });
    }
  }

 private:
  std::atomic<int> inside_{0};
  std::uint64_t token_ = 0;
};
