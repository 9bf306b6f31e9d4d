// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/system_error.hpp>

#include <otlpkit/config.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Somebody who waits and can be woken from any thread.
class sleeper {
 public:
  sleeper() = default;
  sleeper(const sleeper&) = delete;
  sleeper& operator=(const sleeper&) = delete;
  virtual ~sleeper() = default;
  virtual void wake() noexcept = 0;
};

/// A timer that any thread may end, before or while a coroutine waits for it. Once woken it stays so.
template <class Executor>
class wakeable_timer final : public sleeper {
 public:
  explicit wakeable_timer(const Executor& ex) : timer_{ex} {}

  void wake() noexcept override {
    const std::lock_guard lock{mutex_};
    woken_ = true;
    try {
      timer_.cancel();
    } catch (...) {  // then it runs to its end
    }
  }

  [[nodiscard]] bool woken() {
    const std::lock_guard lock{mutex_};
    return woken_;
  }

  /// Waits until `end`, or until woken. One coroutine at a time. Throws operation_aborted when that one is cancelled.
  /// \return whether it was woken
  static boost::asio::awaitable<bool, Executor> wait(std::shared_ptr<wakeable_timer> self,
                                                     std::chrono::steady_clock::time_point end) {
    boost::asio::use_awaitable_t<Executor> token;
    bool aborted = false;
    try {
      co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void(boost::system::error_code)>(
          [&self, end](auto handler) { start(self, std::move(handler), end); }, token);
    } catch (const boost::system::system_error&) {
      aborted = true;
    }
    const bool woken = self->woken();
    if (aborted && !woken) throw boost::system::system_error{boost::asio::error::operation_aborted};
    co_return woken;
  }

 private:
  using clock = std::chrono::steady_clock;

  /// Keeps itself: the coroutine may go on elsewhere, and be over, before this returns.
  template <class Handler>
  static void start(std::shared_ptr<wakeable_timer> self, Handler handler, clock::time_point end) {
    const std::lock_guard lock{self->mutex_};
    if (self->woken_) {
      const auto ex = boost::asio::get_associated_executor(handler, self->timer_.get_executor());
      boost::asio::post(ex, boost::asio::append(std::move(handler), boost::system::error_code{}));
    } else {
      self->timer_.expires_at(end);
      self->timer_.async_wait(std::move(handler));
    }
  }

  std::mutex mutex_;
  boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor> timer_;
  bool woken_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
