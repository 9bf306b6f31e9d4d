// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/task_group.hpp>

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// What an awaitable's result is in a tuple or variant.
template <class T>
using joined_result = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T, class Executor>
boost::asio::awaitable<void, Executor> keep_result(boost::asio::awaitable<T, Executor> work,
                                                   std::optional<joined_result<T>>& result) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(work);
    result.emplace();
  } else {
    result.emplace(co_await std::move(work));
  }
}

/// Runs `work` on another executor, which must be serial, as a task of its own, and goes on here with its result. What
/// asio::co_spawn does with use_awaitable, but for cancellation: that of Boost 1.81 reaches for the caller's slot from
/// the other executor, when the caller may have gone on already.
template <class Place, class T, class Executor>
boost::asio::awaitable<T, Executor> run_at(Place place, boost::asio::awaitable<T, Executor> work) {
  std::optional<joined_result<T>> result;
  std::vector<boost::asio::awaitable<void, Executor>> one;
  one.push_back(keep_result(std::move(work), result));
  std::vector<Place> places{std::move(place)};
  co_await run_group_at(std::move(places), std::move(one), group_goal::all_succeed);
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
