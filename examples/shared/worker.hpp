// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace shop {

/// Does work that no request waits for: one thread with a connection of its own, which the work asks for.
class worker {
 public:
  using job = std::function<void(store_pool&)>;

  /// \param db must live longer
  explicit worker(const database& db) : database_{db.pool(1)}, thread_{[this] { run(); }} {}
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;
  /// Does what is left first.
  ~worker() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void post(job work) {
    {
      const std::lock_guard lock{mutex_};
      jobs_.push_back(std::move(work));
    }
    changed_.notify_all();
  }

  /// Waits until everything posted is done.
  void drain() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return jobs_.empty() && !busy_; });
  }

 private:
  void run() {
    std::unique_lock lock{mutex_};
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      const job work = std::move(jobs_.front());
      jobs_.pop_front();
      busy_ = true;
      lock.unlock();
      try {
        work(database_);
      } catch (const std::exception&) {
        // Nobody waits for an answer; the work's span has recorded what went wrong.
      }
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  store_pool database_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<job> jobs_;
  bool busy_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace shop
