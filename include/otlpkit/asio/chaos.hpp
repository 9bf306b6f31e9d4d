// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/resilience/chaos.hpp>

#include <boost/asio/awaitable.hpp>

#include <type_traits>

// The chaos strategies for functions that return an awaitable. Latency blocks no thread.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

template <>
struct awaitable_form<chaos::fault> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(chaos::fault strategy, call_info call, F fn) {
    strategy.before(call);
    co_return co_await fn();
  }
};

template <>
struct awaitable_form<chaos::behavior> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(chaos::behavior strategy, call_info call, F fn) {
    strategy.before(call);
    co_return co_await fn();
  }
};

template <>
struct awaitable_form<chaos::latency> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(chaos::latency strategy, call_info call, F fn) {
    if (strategy.strikes(call)) co_await wait_for<Executor>(strategy.time(), strategy.wait_);
    co_return co_await fn();
  }
};

template <class Answer>
struct awaitable_form<chaos::outcome<Answer>> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(chaos::outcome<Answer> strategy, call_info call, F fn) {
    if (!strategy.strikes(call)) co_return co_await fn();
    if constexpr (awaitable_like<std::remove_reference_t<decltype(strategy.answer_())>>) {
      co_return co_await strategy.answer_();
    } else if constexpr (std::is_void_v<T>) {
      strategy.answer_();
    } else {
      co_return strategy.answer_();
    }
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
