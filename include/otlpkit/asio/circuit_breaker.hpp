// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/resilience/circuit_breaker.hpp>

#include <boost/asio/awaitable.hpp>

// circuit_breaker for functions that return an awaitable. A call that is cancelled, or destroyed while suspended,
// counts neither as a success nor as a failure.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

template <>
struct awaitable_form<circuit_breaker> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(circuit_breaker breaker, call_info call, F fn) {
    circuit_call admitted{*breaker.circuit_, call};
    settled<T> ended = co_await settle<T, Executor>(fn);
    admitted.end(ended.view());
    co_return ended.take();
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
