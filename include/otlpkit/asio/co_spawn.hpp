// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>

#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// A function that returns an awaitable, or the awaitable itself, with the task it is to run as. Asio keeps it in the
/// frame of the coroutine it starts, and so as long as the task may be resumed.
template <class F>
struct task_work {
  task_ref of;
  F fn;

  auto operator()() { return fn(); }
};

template <class T, class Executor>
struct task_work<boost::asio::awaitable<T, Executor>> {
  task_ref of;
  boost::asio::awaitable<T, Executor> awaitable;

  boost::asio::awaitable<T, Executor> operator()() { return std::move(awaitable); }
};

template <class Awaitable>
struct awaitable_parts;
template <class T, class Executor>
struct awaitable_parts<boost::asio::awaitable<T, Executor>> {
  using value_type = T;
  using executor_type = Executor;
};

template <class T>
inline constexpr bool is_awaitable = false;
template <class T, class Executor>
inline constexpr bool is_awaitable<boost::asio::awaitable<T, Executor>> = true;

template <class F>
concept awaitable_function = requires(F& fn) {
  requires is_awaitable<decltype(fn())>;
};

/// Asio's own co_spawn. Naming the template arguments keeps the overloads below out of it.
template <class Executor, class Work, class Token>
auto asio_co_spawn(const Executor& ex, Work work, Token&& token) {
  return boost::asio::co_spawn<Executor, Work, Token>(ex, std::move(work), std::forward<Token>(token));
}

/// Starts `work` as the new task `of`. Its executor only refers to the task: that makes its copies cheap.
template <class Executor, class Work, class Token>
auto spawn_task(const Executor& ex, task_ref of, Work&& work, Token&& token) {
  const auto place = executor_for(ex, of.borrow(), &of.get()->executor);
  using executor = typename awaitable_parts<decltype(std::declval<task_work<std::decay_t<Work>>&>()())>::executor_type;
  static_assert(std::is_convertible_v<decltype(place), executor>,
                "otlpkit: this awaitable's executor type cannot carry a task. Use awaitable<T>, whose executor is "
                "any_io_executor, or awaitable<T, otlpkit::traced_executor<...>>.");
  return asio_co_spawn(place, task_work<std::decay_t<Work>>{std::move(of), std::forward<Work>(work)},
                       std::forward<Token>(token));
}

/// What boost::asio::co_spawn does on an executor that belongs to a task: the coroutine becomes a task of its own.
template <class Executor, class Work, class Token>
auto respawn(const Executor& ex, const task_ref& parent, Work&& work, Token&& token) {
  return spawn_task(ex, fork_task(parent.get()), std::forward<Work>(work), std::forward<Token>(token));
}

/// The same for an executor that may or may not belong to a task.
template <class Work, class Token>
auto respawn(const boost::asio::any_io_executor& ex, Work&& work, Token&& token) {
  task_inquiry inquiry;
  inquire(ex, inquiry);
  if (inquiry.traced) return respawn(ex, inquiry.of, std::forward<Work>(work), std::forward<Token>(token));
  return asio_co_spawn(ex, task_work<std::decay_t<Work>>{task_ref{}, std::forward<Work>(work)},
                       std::forward<Token>(token));
}

struct co_spawn_function {
  template <class Place, class Work, class Token>
  requires(is_awaitable<std::decay_t<Work>> || awaitable_function<std::decay_t<Work>>) auto operator()(
      Place&& place, Work&& work, Token&& token) const {
    return spawn_task(executor_of(place), fork_task(), std::forward<Work>(work), std::forward<Token>(token));
  }
};

}  // namespace detail

/// boost::asio::co_spawn(place, awaitable or function, token) as a task of its own: it starts under the span that is
/// current here, and what it opens later is seen by nobody else. `place` is an executor or an execution context, and
/// may be the executor of another task. Throws std::bad_alloc, or what the awaitable's function throws.
inline constexpr detail::co_spawn_function co_spawn{};

}  // namespace otlpkit::inline OTLPKIT_ABI

// On the executor of a task, boost::asio::co_spawn (and with it Asio's && and ||) would start a second coroutine in the
// same task, and each would find the other's spans. Where this header is included it starts a task of its own instead.
namespace boost::asio {

template <class T, class Executor, class Token>
auto co_spawn(const any_io_executor& ex, awaitable<T, Executor> work, Token&& token) {
  return otlpkit::detail::respawn(ex, std::move(work), std::forward<Token>(token));
}
template <class Executor, class Token>
auto co_spawn(const any_io_executor& ex, awaitable<void, Executor> work, Token&& token) {
  return otlpkit::detail::respawn(ex, std::move(work), std::forward<Token>(token));
}
template <class F, class Token>
requires otlpkit::detail::awaitable_function<std::decay_t<F>>
auto co_spawn(const any_io_executor& ex, F&& fn, Token&& token) {
  return otlpkit::detail::respawn(ex, std::forward<F>(fn), std::forward<Token>(token));
}

template <class Inner, class T, class Executor, class Token>
auto co_spawn(const otlpkit::traced_executor<Inner>& ex, awaitable<T, Executor> work, Token&& token) {
  return otlpkit::detail::respawn(ex, ex.task(), std::move(work), std::forward<Token>(token));
}
template <class Inner, class Executor, class Token>
auto co_spawn(const otlpkit::traced_executor<Inner>& ex, awaitable<void, Executor> work, Token&& token) {
  return otlpkit::detail::respawn(ex, ex.task(), std::move(work), std::forward<Token>(token));
}
template <class Inner, class F, class Token>
requires otlpkit::detail::awaitable_function<std::decay_t<F>>
auto co_spawn(const otlpkit::traced_executor<Inner>& ex, F&& fn, Token&& token) {
  return otlpkit::detail::respawn(ex, ex.task(), std::forward<F>(fn), std::forward<Token>(token));
}

}  // namespace boost::asio
