// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>

#include <boost/asio/awaitable.hpp>

#include <type_traits>
#include <utility>

// For awaitable decorators over parts that may be awaited or not.
namespace otlpkit::inline OTLPKIT_ABI::detail {

template <class T>
struct awaited_type {
  using type = T;
};
template <class T, class Executor>
struct awaited_type<boost::asio::awaitable<T, Executor>> {
  using type = T;
};

/// What `fn()` comes to: what it returns or, if that is an awaitable, what this ends with.
template <class F>
using call_result = typename awaited_type<std::invoke_result_t<F&>>::type;

/// Calls `fn`, and awaits what it returns if that can be awaited.
template <class Executor, class F>
boost::asio::awaitable<call_result<F>, Executor> await_call(F fn) {
  if constexpr (is_awaitable<std::invoke_result_t<F&>>) {
    co_return co_await fn();
  } else {
    co_return fn();
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
