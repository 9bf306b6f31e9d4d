// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/asio/in_span.hpp>
#include <otlpkit/resilience/retry.hpp>

#include <boost/asio/awaitable.hpp>

#include <utility>

// otlpkit::retry() and retry_policy for functions that return an awaitable. Waiting for the next attempt blocks no
// thread, and ends at once when the caller is cancelled; a cancelled attempt is not repeated.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

template <>
struct awaitable_form<retry_policy> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(retry_policy policy, call_info call, F fn) {
    retry_run run{policy.options(), call};
    for (;;) {
      settled<T> ended = co_await attempt<T, Executor>(run, fn);
      if (!run.again()) co_return ended.take();
      run.tell_retry(ended.view());
      co_await wait_for<Executor>(run.time(), run.delay());
    }
  }

 private:
  template <class T, class Executor, class F>
  static boost::asio::awaitable<settled<T>, Executor> attempt(retry_run& run, F& fn) {
    span_guard s = run.begin();
    otlpkit::detail::completion end{s};
    settled<T> ended = co_await settle<T, Executor>(fn);
    end.reached();
    run.end(s, ended);
    co_return ended;
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
