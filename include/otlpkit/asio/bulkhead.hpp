// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/resilience/bulkhead.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <mutex>
#include <utility>

// bulkhead for functions that return an awaitable. Waiting blocks no thread; a call that is cancelled while it waits,
// or destroyed, leaves the queue.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

/// A coroutine that waits: for a timer, which runs as long as the call may wait, and is cut short when it is admitted.
template <class Executor>
class bulkhead_coroutine final : public bulkhead_waiter {
 public:
  bulkhead_coroutine(bulkhead_state& s, Executor ex) : state_{s}, timer_{std::move(ex)} {}
  bulkhead_coroutine(const bulkhead_coroutine&) = delete;
  bulkhead_coroutine& operator=(const bulkhead_coroutine&) = delete;
  ~bulkhead_coroutine() {
    if (waits_ && !state_.give_up(*this)) state_.leave();
  }

  /// Waits to be in. Throws bulkhead_full_error, and operation_aborted when the caller is cancelled.
  boost::asio::awaitable<void, Executor> enter(call_info call) {
    const nanoseconds longest = state_.longest_wait();
    if (state_.enter(*this, longest, call)) co_return;
    waits_ = true;
    const time_point begun = state_.time().now();
    start_timer(longest);
    boost::system::error_code stopped;
    boost::asio::use_awaitable_t<Executor> token;
    auto result = boost::asio::redirect_error(token, stopped);
    co_await boost::asio::async_initiate<decltype(result), void(boost::system::error_code)>(
        [this](auto handler) {
          const std::lock_guard lock{timer_mutex_};
          if (admitted_) timer_.expires_at(clock::time_point::min());
          timer_.async_wait(std::move(handler));
        },
        result);
    { const std::lock_guard begun_waiting{timer_mutex_}; }  // the thread that began to wait may still be at it
    waits_ = false;
    if (!state_.give_up(*this)) {
      state_.waited(state_.time().now() - begun, call);
      co_return;
    }
    if (stopped) throw boost::system::system_error{stopped};
    state_.reject("waited", call);
  }

  void admitted() noexcept override {
    const std::lock_guard lock{timer_mutex_};
    admitted_ = true;
    timer_.cancel();
  }

 private:
  void start_timer(nanoseconds longest) {
    const bool for_ever = longest == nanoseconds::max();
    const nanoseconds runs = for_ever ? longest : state_.time().timer_for(longest);
    const std::lock_guard lock{timer_mutex_};
    if (for_ever) {
      timer_.expires_at(clock::time_point::max());
    } else {
      timer_.expires_after(runs);
    }
  }

  bulkhead_state& state_;
  std::mutex timer_mutex_;  ///< who admits this call may be on another thread
  boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor> timer_;
  bool admitted_ = false;
  bool waits_ = false;
};

template <>
struct awaitable_form<bulkhead> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(bulkhead b, call_info call, F fn) {
    {
      bulkhead_coroutine<Executor> waiter{*b.state_, co_await boost::asio::this_coro::executor};
      co_await waiter.enter(call);
    }
    const bulkhead_call in{*b.state_};
    co_return co_await fn();
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
