// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/execute.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/wait_traits.hpp>

#include <chrono>
#include <concepts>
#include <exception>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

// What the awaitable forms of strategies share.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

/// Waits for `d`, by the strategy's time source. Cancelled, it throws operation_aborted at once.
template <class Executor>
boost::asio::awaitable<void, Executor> wait_for(time_source& time, nanoseconds d) {
  using timer_type = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor>;
  timer_type timer{co_await boost::asio::this_coro::executor};
  timer.expires_after(time.timer_for(d));
  boost::asio::use_awaitable_t<Executor> token;
  co_await timer.async_wait(token);
}

/// Awaits what `fn` returns, and keeps what it ends with. An exception counts as cancelled when the caller was.
template <class T, class Executor, class F>
boost::asio::awaitable<settled<T>, Executor> settle(F& fn) {
  settled<T> s;
  std::exception_ptr failure;
  try {
    if constexpr (std::is_void_v<T>) {
      co_await fn();
    } else {
      s.keep(co_await fn());
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure != nullptr) {
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    s.fail(std::move(failure), state.cancelled() != boost::asio::cancellation_type::none);
  }
  co_return s;
}

template <class T, class Executor>
struct awaitable_forms<boost::asio::awaitable<T, Executor>> {
  using awaitable = boost::asio::awaitable<T, Executor>;

  template <class Strategy, class F>
  static awaitable start(Strategy strategy, call_info call, F fn) {
    return awaitable_form<Strategy>::template run<T, Executor>(std::move(strategy), call, std::move(fn));
  }

  template <class Strategy, class F>
  static awaitable keep(Strategy strategy, std::string operation, F fn) {
    co_return co_await start(std::move(strategy), call_info{.operation = operation}, [&fn] { return fn(); });
  }

  static awaitable fill_code(awaitable work, std::error_code& rejected) {
    static_assert(std::is_void_v<T> || std::default_initializable<T>,
                  "otlpkit: the form with an error_code returns a value-initialised result when it rejects");
    try {
      co_return co_await std::move(work);
    } catch (const rejected_error& e) {
      rejected = e.code();
    }
    co_return T();
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
