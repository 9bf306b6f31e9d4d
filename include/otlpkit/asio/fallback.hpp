// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/resilience/fallback.hpp>

#include <boost/asio/awaitable.hpp>

#include <type_traits>

// fallback for functions that return an awaitable; its action may return one too, or the answer itself.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

template <class Action>
struct awaitable_form<fallback<Action>> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(fallback<Action> strategy, call_info call, F fn) {
    settled<T> ended = co_await settle<T, Executor>(fn);
    if (!strategy.handles(ended.view(), call)) co_return ended.take();
    using answer = decltype(strategy.act(ended.view()));
    const resilience::outcome failed = ended.view();  // the action may refer to it until the end
    if constexpr (awaitable_like<std::remove_reference_t<answer>>) {
      co_return co_await strategy.act(failed);
    } else if constexpr (std::is_void_v<T>) {
      strategy.act(failed);
    } else {
      co_return strategy.act(failed);
    }
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
