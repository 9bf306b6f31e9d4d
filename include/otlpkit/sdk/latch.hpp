// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Lets a caller wait for another thread, up to a deadline. Opens once, with an answer.
class latch {
 public:
  using clock = std::chrono::steady_clock;

  void release(bool answer = true) {
    const std::lock_guard lock{mutex_};
    if (open_) return;
    open_ = true;
    answer_ = answer;
    condition_.notify_all();
  }

  /// The answer; false when the deadline passes first.
  [[nodiscard]] bool wait_until(clock::time_point deadline) {
    std::unique_lock lock{mutex_};
    return condition_.wait_until(lock, deadline, [this] { return open_; }) && answer_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool open_ = false;
  bool answer_ = false;
};

/// Callers that wait for a thread which may end before it comes to them: its end lets all of them go. From any thread.
class waiting_callers {
 public:
  using clock = latch::clock;

  /// `ask(latch)` asks for what is waited for, without waiting. The latch's answer, or that of the end, which may have
  /// been long ago; false when the deadline passes before both.
  template <class Ask>
  [[nodiscard]] bool wait(clock::time_point deadline, Ask ask) {
    const auto answered = std::make_shared<latch>();
    {
      const std::lock_guard lock{mutex_};
      if (over_) return answer_;
      waiting_.push_back(answered);
    }
    struct leave {
      waiting_callers& callers;
      const std::shared_ptr<latch>& caller;
      ~leave() {
        const std::lock_guard lock{callers.mutex_};
        std::erase(callers.waiting_, caller);
      }
    } const on_return{*this, answered};
    ask(answered);
    return answered->wait_until(deadline);
  }

  /// Nobody waits from now on: who does is let go with `answer`, and who comes later gets it at once.
  void end(bool answer) {
    const std::lock_guard lock{mutex_};
    if (over_) return;
    over_ = true;
    answer_ = answer;
    for (const auto& caller : waiting_) caller->release(answer);
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<latch>> waiting_;
  bool over_ = false;
  bool answer_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
