// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/resilience/pipeline.hpp>

#include <boost/asio/awaitable.hpp>

// pipeline for functions that return an awaitable; include the headers of its strategies in otlpkit/asio/ as well, or
// otlpkit/asio/resilience.hpp for all of them.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

template <class... S>
struct awaitable_form<pipeline<S...>> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(pipeline<S...> all, call_info outer, F fn) {
    const call_info call{outer.operation, all.name()};
    const time_point begun = all.now();
    all.begin(call);
    auto work = [&]() -> boost::asio::awaitable<T, Executor> { return all.template pass<0>(call, fn); };
    settled<T> ended = co_await settle<T, Executor>(work);
    all.end(call, ended.view(), begun);
    co_return ended.take();
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
