// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/compact_strand.hpp>
#include <otlpkit/asio/task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/context_as.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

template <class Inner>
class traced_executor;

namespace detail {

using context_property = boost::asio::execution::context_as_t<boost::asio::execution_context&>;

template <class Executor>
inline constexpr bool is_strand = false;
template <class Inner>
inline constexpr bool is_strand<boost::asio::strand<Inner>> = true;
template <class Inner>
inline constexpr bool is_strand<compact_strand<Inner>> = true;

/// The executor as others know it.
template <class Executor>
const Executor& as_asio(const Executor& ex) noexcept {
  return ex;
}
template <class Inner>
const boost::asio::strand<io_executor>& as_asio(const compact_strand<Inner>& ex) noexcept {
  return ex.strand();
}

/// Asks an any_io_executor, whatever is inside, which task it belongs to, or for the same executor with another task.
/// Type erasure lets only the properties of Asio through, so the inquiry waits in a thread-local and is answered by the
/// traced executor when its context is queried.
struct task_inquiry {
  task_ref other;                     ///< for this task, if it is one
  boost::asio::any_io_executor with;  ///< the executor with `other`
  boost::asio::any_io_executor bare;  ///< the executor without a task
  task_ref of;                        ///< its task
  bool traced = false;
  bool serial = false;  ///< a strand: never runs two functions at once
};

OTLPKIT_VISIBLE inline constinit thread_local task_inquiry* pending_inquiry = nullptr;

/// A function that runs as part of a task.
template <class F>
struct task_function {
  task_ref of;
  F fn;

  void operator()() {
    const task_run run{of.get()};
    std::move(fn)();
  }
};

}  // namespace detail

/// An executor that runs everything as part of one task: the task's current span is current whatever thread it runs on.
/// Made by fork() and on(); otherwise it behaves as `Inner`, whose properties it has.
///
/// It is two words if `Inner` is one, so that any_io_executor holds it without allocating. Two of them are equal if
/// executor and task are.
template <class Inner>
class traced_executor {
 public:
  using inner_executor_type = Inner;

  /// A new task. The parameter is exactly Inner: with conversions allowed, whether any_io_executor is an executor would
  /// depend on itself.
  template <class I>
  requires std::same_as<std::remove_cvref_t<I>, Inner>
  explicit traced_executor(I&& inner) : traced_executor{std::forward<I>(inner), detail::fork_task()} {
    if constexpr (std::is_convertible_v<const Inner&, boost::asio::any_io_executor>)
      task_.get()->executor = detail::as_asio(inner_);
  }
  template <class I>
  requires std::same_as<std::remove_cvref_t<I>, Inner> traced_executor(I&& inner, detail::task_ref of)
  noexcept : inner_{std::forward<I>(inner)}, task_{std::move(of)} {}

  /// The executor without the task.
  [[nodiscard]] const Inner& inner() const noexcept { return inner_; }
  [[nodiscard]] const detail::task_ref& task() const noexcept { return task_; }

  template <class Property>
  requires boost::asio::can_query<const Inner&, Property>::value auto query(const Property& p) const
      noexcept(boost::asio::is_nothrow_query<const Inner&, Property>::value) ->
      typename boost::asio::query_result<const Inner&, Property>::type {
    if constexpr (std::same_as<Property, detail::context_property>) {
      if (detail::pending_inquiry != nullptr) [[unlikely]]
        answer(*std::exchange(detail::pending_inquiry, nullptr));
    }
    return boost::asio::query(inner_, p);
  }

  template <class Property>
  requires boost::asio::can_require<const Inner&, Property>::value auto require(const Property& p) const
      -> traced_executor<std::decay_t<typename boost::asio::require_result<const Inner&, Property>::type>> {
    return {boost::asio::require(inner_, p), task_};
  }

  template <class Property>
  requires boost::asio::can_prefer<const Inner&, Property>::value auto prefer(const Property& p) const
      -> traced_executor<std::decay_t<typename boost::asio::prefer_result<const Inner&, Property>::type>> {
    return {boost::asio::prefer(inner_, p), task_};
  }

  template <class F>
  void execute(F&& fn) const {
    inner_.execute(detail::task_function<std::decay_t<F>>{task_, std::forward<F>(fn)});
  }

  friend bool operator==(const traced_executor& a, const traced_executor& b) noexcept {
    return a.task_ == b.task_ && a.inner_ == b.inner_;
  }
  friend bool operator!=(const traced_executor& a, const traced_executor& b) noexcept { return !(a == b); }

 private:
  void answer(detail::task_inquiry& inquiry) const {
    inquiry.traced = true;
    inquiry.serial = detail::is_strand<Inner>;
    inquiry.of = task_;
    inquiry.bare = boost::asio::any_io_executor{detail::as_asio(inner_)};
    if (inquiry.other.get() != nullptr) inquiry.with = traced_executor{inner_, std::move(inquiry.other)};
  }

  Inner inner_;
  detail::task_ref task_;
};

namespace detail {

/// Puts the inquiry to whatever `ex` holds.
inline void inquire(const boost::asio::any_io_executor& ex, task_inquiry& inquiry) {
  if (!ex) return;
  pending_inquiry = &inquiry;
  static_cast<void>(boost::asio::query(ex, context_property{}));
  pending_inquiry = nullptr;
}

/// `ex`, which holds no traced executor, as part of a task. The executors everybody uses are unpacked, since one type
/// erasure in another costs at every resume.
inline boost::asio::any_io_executor trace_erased(const boost::asio::any_io_executor& ex, task_ref of) {
  using pool_executor = boost::asio::thread_pool::executor_type;
  if (const auto* io = ex.target<io_executor>()) return traced_executor<io_executor>{*io, std::move(of)};
  if (const auto* strand = ex.target<boost::asio::strand<io_executor>>()) {
    return traced_executor<compact_strand<io_executor>>{compact_strand<io_executor>{*strand}, std::move(of)};
  }
  if (const auto* pool = ex.target<pool_executor>()) return traced_executor<pool_executor>{*pool, std::move(of)};
  return traced_executor<boost::asio::any_io_executor>{ex, std::move(of)};
}

/// The executor that runs on `ex` as the task `of`: for any_io_executor of the same type. `home` becomes the executor
/// without the task, unless it is nullptr.
inline boost::asio::any_io_executor executor_for(const boost::asio::any_io_executor& ex, task_ref of,
                                                 boost::asio::any_io_executor* home) {
  task_inquiry inquiry;
  inquiry.other = of;
  inquire(ex, inquiry);
  if (home != nullptr) *home = inquiry.traced ? std::move(inquiry.bare) : ex;
  if (inquiry.traced) return std::move(inquiry.with);
  return trace_erased(ex, std::move(of));
}

template <class Executor>
traced_executor<Executor> executor_for(const Executor& ex, task_ref of, boost::asio::any_io_executor* home) {
  if constexpr (std::is_convertible_v<const Executor&, boost::asio::any_io_executor>) {
    if (home != nullptr) *home = ex;
  }
  return {ex, std::move(of)};
}

inline traced_executor<compact_strand<io_executor>> executor_for(const boost::asio::strand<io_executor>& ex,
                                                                 task_ref of, boost::asio::any_io_executor* home) {
  if (home != nullptr) *home = ex;
  return {compact_strand<io_executor>{ex}, std::move(of)};
}

template <class Inner>
traced_executor<Inner> executor_for(const traced_executor<Inner>& ex, task_ref of, boost::asio::any_io_executor* home) {
  if constexpr (std::is_convertible_v<const Inner&, boost::asio::any_io_executor>) {
    if (home != nullptr) *home = as_asio(ex.inner());
  }
  return {ex.inner(), std::move(of)};
}

template <class T>
concept execution_context_like = std::is_convertible_v<T&, boost::asio::execution_context&>;

/// A context's executor, or the executor itself.
template <class Place>
decltype(auto) executor_of(Place& place) {
  if constexpr (execution_context_like<Place>) {
    return place.get_executor();
  } else {
    return (place);
  }
}

}  // namespace detail

/// An executor for a task of its own on `place`, an executor or execution context: what runs there starts under the
/// span that is current here, and does not see spans that other tasks open. Of an executor that belongs to a task
/// already, the new one takes the place, not the task. For any_io_executor the result is an any_io_executor.
///
/// For one coroutine at a time, which otlpkit::co_spawn() does by itself. Throws std::bad_alloc.
template <class Place>
[[nodiscard]] auto fork(Place&& place) {
  detail::task_ref of = detail::fork_task();
  boost::asio::any_io_executor& home = of.get()->executor;
  return detail::executor_for(detail::executor_of(place), std::move(of), &home);
}

/// The running task, elsewhere: `co_await asio::post(asio::bind_executor(otlpkit::on(pool), asio::use_awaitable))` goes
/// on in the pool with the same current span, until the next operation returns it to its own executor. Where no task
/// runs it is fork(place).
template <class Place>
[[nodiscard]] auto on(Place&& place) {
  detail::task* const running = detail::running_task();
  if (running == nullptr) return fork(place);
  return detail::executor_for(detail::executor_of(place), detail::task_ref::borrow(*running), nullptr);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
