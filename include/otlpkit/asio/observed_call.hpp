// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/observed_call.hpp>

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

// Decorators over calls that return an awaitable: include this beside the decorator.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// The span covers the awaiting, not only the call. The operation, and what it refers to, must live until then.
template <class T, class Executor>
struct call_runner<boost::asio::awaitable<T, Executor>> {
  template <class Operation, class Call>
  static boost::asio::awaitable<T, Executor> run(Operation operation, Call&& call) {
    return observe(std::move(operation), std::forward<Call>(call)());
  }

 private:
  template <class Operation>
  static boost::asio::awaitable<T, Executor> observe(Operation operation, boost::asio::awaitable<T, Executor> work) {
    auto guard = operation.start();
    try {
      if constexpr (std::is_void_v<T>) {
        co_await std::move(work);
        operation.succeeded(guard);
        co_return;
      } else {
        T result = co_await std::move(work);
        operation.succeeded(guard, result);
        co_return result;
      }
    } catch (...) {
      if (!operation.failed(guard)) throw;
      if constexpr (!std::is_void_v<T> && !std::default_initializable<T>) throw;
    }
    if constexpr (std::default_initializable<T>) co_return T{};
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
