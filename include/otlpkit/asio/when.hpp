// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/run_at.hpp>
#include <otlpkit/asio/task_group.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

template <class Executor, class... T>
std::vector<boost::asio::awaitable<void, Executor>> keep_results(
    std::tuple<std::optional<joined_result<T>>...>& results, boost::asio::awaitable<T, Executor>&... work) {
  std::vector<boost::asio::awaitable<void, Executor>> keepers;
  keepers.reserve(sizeof...(T));
  std::apply([&](auto&... result) { (keepers.push_back(keep_result(std::move(work), result)), ...); }, results);
  return keepers;
}

template <class... T>
std::tuple<T...> unpack_all(std::tuple<std::optional<T>...>& results) {
  return std::apply([](auto&... result) { return std::tuple<T...>{std::move(*result)...}; }, results);
}

template <class Variant, std::size_t i = 0, class... T>
Variant unpack_one(std::tuple<std::optional<T>...>& results, std::size_t index) {
  if constexpr (i + 1 < sizeof...(T)) {
    if (index != i) return unpack_one<Variant, i + 1>(results, index);
  }
  return Variant{std::in_place_index<i>, std::move(*std::get<i>(results))};
}

}  // namespace detail

/// Runs all at once, each as a task of its own under the current span, and returns their results as a tuple, with
/// std::monostate for void: `auto [user, device] = co_await otlpkit::when_all(user_risk(o), device_risk(o))`.
///
/// The first exception cancels the others, and is thrown when all of them have ended. Cancelling the caller cancels
/// all. Each runs on a strand of its own where the caller is on none, so that this is safe with any number of threads.
template <class... T, class Executor>
requires(sizeof...(T) > 0 && !(std::is_void_v<T> && ...))
    boost::asio::awaitable<std::tuple<detail::joined_result<T>...>, Executor> when_all(
        boost::asio::awaitable<T, Executor>... work) {
  std::tuple<std::optional<detail::joined_result<T>>...> results;
  co_await detail::run_group<Executor>(detail::keep_results<Executor, T...>(results, work...),
                                       detail::group_goal::all_succeed);
  co_return detail::unpack_all(results);
}

/// The same where there is nothing to return.
template <class Executor, std::same_as<Executor>... More>
boost::asio::awaitable<void, Executor> when_all(boost::asio::awaitable<void, Executor> first,
                                                boost::asio::awaitable<void, More>... work) {
  std::vector<boost::asio::awaitable<void, Executor>> all;
  all.reserve(1 + sizeof...(More));
  all.push_back(std::move(first));
  (all.push_back(std::move(work)), ...);
  co_await detail::run_group<Executor>(std::move(all), detail::group_goal::all_succeed);
}

/// The same for a number known at run time; results are in the order of `work`.
template <class T, class Executor>
requires(!std::is_void_v<T>) boost::asio::awaitable<std::vector<T>, Executor> when_all(
    std::vector<boost::asio::awaitable<T, Executor>> work) {
  std::vector<std::optional<T>> kept(work.size());
  std::vector<T> results;
  if (work.empty()) co_return results;
  std::vector<boost::asio::awaitable<void, Executor>> keepers;
  keepers.reserve(work.size());
  for (std::size_t i = 0; i < work.size(); ++i) keepers.push_back(detail::keep_result(std::move(work[i]), kept[i]));
  co_await detail::run_group<Executor>(std::move(keepers), detail::group_goal::all_succeed);
  results.reserve(kept.size());
  for (std::optional<T>& result : kept) results.push_back(std::move(*result));
  co_return results;
}

template <class Executor>
boost::asio::awaitable<void, Executor> when_all(std::vector<boost::asio::awaitable<void, Executor>> work) {
  if (!work.empty()) co_await detail::run_group<Executor>(std::move(work), detail::group_goal::all_succeed);
}

/// Runs all at once, as when_all() does, until one succeeds; the others are cancelled. The variant's index says which,
/// std::monostate stands for void. If none succeeds, the first exception is thrown. Goes on when all have ended.
template <class... T, class Executor>
requires(sizeof...(T) > 0) boost::asio::awaitable<std::variant<detail::joined_result<T>...>, Executor> when_any(
    boost::asio::awaitable<T, Executor>... work) {
  std::tuple<std::optional<detail::joined_result<T>>...> results;
  const std::size_t winner = co_await detail::run_group<Executor>(
      detail::keep_results<Executor, T...>(results, work...), detail::group_goal::one_succeeds);
  co_return detail::unpack_one<std::variant<detail::joined_result<T>...>>(results, winner);
}

/// `work` as a task of its own: for Asio's operators in files that do not include otlpkit/asio/co_spawn.hpp themselves,
/// as in `co_await (otlpkit::branch(a()) && otlpkit::branch(b()))`.
template <class T, class Executor>
boost::asio::awaitable<T, Executor> branch(boost::asio::awaitable<T, Executor> work) {
  const Executor ex = co_await boost::asio::this_coro::executor;
  std::optional<detail::joined_result<T>> result;
  co_await co_spawn(ex, detail::keep_result(std::move(work), result), boost::asio::use_awaitable_t<Executor>{});
  if constexpr (!std::is_void_v<T>) co_return std::move(*result);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
