// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/trace.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Runs a call that a decorator wraps, between what its `operation` does at the start and at the end:
///   start() makes the span guard, succeeded(span, result) (or succeeded(span)) and failed(span) complete it.
/// failed() runs in the catch block and says whether the exception ends here; a value-initialised result is returned
/// then.
///
/// This is the form for calls that return their result. Calls that return something to be awaited have a specialisation
/// where that something is known, which keeps `operation` until the result is there: the decorator is the same.
template <class Result>
struct call_runner {
  template <class Operation, class Call>
  static Result run(Operation operation, Call&& call) {
    auto guard = operation.start();
    try {
      if constexpr (std::is_void_v<Result>) {
        std::forward<Call>(call)();
        operation.succeeded(guard);
      } else {
        Result result = std::forward<Call>(call)();
        operation.succeeded(guard, result);
        return result;
      }
    } catch (...) {
      if (!operation.failed(guard)) throw;
      if constexpr (std::default_initializable<Result>) {
        return Result{};
      } else if constexpr (!std::is_void_v<Result>) {
        throw;
      }
    }
  }
};

/// Calls `call` within a span that `operation` describes; returns what it returns.
template <class Operation, class Call>
auto observe(Operation operation, Call&& call) -> std::invoke_result_t<Call&&> {
  return call_runner<std::invoke_result_t<Call&&>>::run(std::move(operation), std::forward<Call>(call));
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
