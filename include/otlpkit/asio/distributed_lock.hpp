// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/wakeable_timer.hpp>
#include <otlpkit/asio/when.hpp>
#include <otlpkit/lock/hold.hpp>
#include <otlpkit/lock/lock_store.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::lock {

template <class Store, class Executor>
class async_distributed_lock;

/// A lock that a coroutine holds, until `co_await release()`. Move-only. One that goes without release is freed by the
/// store when its time is over. valid(), token and stop_token may be asked from any thread.
template <class Store, class Executor>
class async_held_lock {
 public:
  async_held_lock(async_held_lock&&) noexcept = default;
  async_held_lock& operator=(async_held_lock&&) noexcept = default;

  /// See held_lock.
  [[nodiscard]] std::uint64_t fencing_token() const noexcept { return hold_->id.token; }
  [[nodiscard]] bool valid() const noexcept { return !hold_->over() && hold_->valid(); }
  [[nodiscard]] resilience::time_point valid_until() const noexcept { return hold_->valid_until(); }
  [[nodiscard]] std::stop_token lost_token() const noexcept { return hold_->lost_token(); }
  void ensure() const {
    if (!valid()) throw lock_lost_error{core_->telemetry.name};
  }
  [[nodiscard]] boost::asio::awaitable<bool, Executor> renew() { return core::renew(core_, hold_); }
  /// See held_lock. In a coroutine that has been cancelled already, `co_await` throws operation_aborted and the lock is
  /// not given back, as long as boost::asio::this_coro::throw_if_cancelled is on; work() gives it back.
  [[nodiscard]] boost::asio::awaitable<bool, Executor> release() { return core::release(core_, hold_); }

 private:
  friend class async_distributed_lock<Store, Executor>;
  using core = typename async_distributed_lock<Store, Executor>::core;
  async_held_lock(std::shared_ptr<core> c, std::shared_ptr<detail::hold> h) noexcept
      : core_{std::move(c)}, hold_{std::move(h)} {}

  std::shared_ptr<core> core_;
  std::shared_ptr<detail::hold> hold_;
};

/// distributed_lock for coroutines. The store's calls return awaitables or, if they do not block, results; a store that
/// blocks is wrapped by otlpkit::offloaded.
///
/// \code
/// co_await accounts.work("42", [&](auto& held) { return transfer(order, held.fencing_token()); });
/// \endcode
template <class Store, class Executor = boost::asio::any_io_executor>
class async_distributed_lock {
  template <class T>
  using awaitable = boost::asio::awaitable<T, Executor>;
  using hold_ptr = std::shared_ptr<detail::hold>;

 public:
  using held = async_held_lock<Store, Executor>;

  /// Throws config_error for options that make no sense. lock_options::renew_in_background is not used: work() renews.
  explicit async_distributed_lock(Store&& store, lock_options options = {})
      : core_{std::make_shared<core>(std::forward<Store>(store), std::move(options))} {}

  /// The lock, after waiting for at most max_wait. Throws lock_busy_error when it stayed with others, and what the
  /// store threw when that was the last attempt. Without a watchdog: renew it, or use work().
  [[nodiscard]] awaitable<held> acquire(std::string_view key) { return acquire(key, core_->options.max_wait); }
  [[nodiscard]] awaitable<held> acquire(std::string_view key, std::chrono::nanoseconds max_wait) {
    return obtain(core_, std::string{key}, max_wait);
  }

  /// The lock if it is free. Throws what the store throws.
  [[nodiscard]] awaitable<std::optional<held>> try_acquire(std::string_view key) {
    return attempt(core_, std::string{key});
  }

  /// Runs `fn`'s awaitable under the lock, within the span of the hold, and gives what it gives; `fn` takes nothing, or
  /// the held lock. Meanwhile a watchdog renews the lock every third of its ttl. When it is lost, the work is
  /// cancelled and lock_lost_error thrown, once the work has ended. Exceptions of the work are thrown after the
  /// release.
  template <class F>
  [[nodiscard]] auto work(std::string_view key, F fn) {
    return work(key, core_->options.max_wait, std::move(fn));
  }
  template <class F>
  [[nodiscard]] auto work(std::string_view key, std::chrono::nanoseconds max_wait, F fn) {
    using work_type = decltype(start(fn, std::declval<held&>()));
    using result = typename otlpkit::detail::awaitable_parts<work_type>::value_type;
    return run<result>(core_, std::string{key}, max_wait, std::move(fn));
  }

  [[nodiscard]] std::string_view name() const noexcept { return core_->telemetry.name; }

 private:
  friend class async_held_lock<Store, Executor>;

  struct core {
    core(Store&& s, lock_options o)
        : options{(detail::check(o), std::move(o))}, store{std::forward<Store>(s)}, telemetry{options},
          time{options.time != nullptr ? *options.time : resilience::system_time()} {}

    static awaitable<bool> renew(std::shared_ptr<core> c, hold_ptr h) {
      if (h->over() || !h->valid()) co_return false;
      const remote_scope in_hold{h->context()};
      const auto asked = c->time.now();
      bool renewed = false;
      std::exception_ptr failure;
      try {
        using result = decltype(c->store.renew(h->id.key, h->id.owner, c->options.ttl));
        if constexpr (otlpkit::detail::is_awaitable<result>)
          renewed = co_await c->store.renew(h->id.key, h->id.owner, c->options.ttl);
        else
          renewed = c->store.renew(h->id.key, h->id.owner, c->options.ttl);
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard guard{h->mutex};
      if (h->over()) co_return false;
      if (failure != nullptr) {
        h->renewal_failed(failure);
        co_return false;
      }
      if (renewed) co_return h->renewed(asked);
      h->refused();
      co_return false;
    }

    /// Once begun, goes on even if the caller is being cancelled: nobody else would give the lock back.
    static awaitable<bool> release(std::shared_ptr<core> c, hold_ptr h) {
      if (h->over()) co_return false;
      const remote_scope in_hold{h->context()};
      const bool in_time = h->valid();
      bool was_ours = false;
      std::exception_ptr failure;
      co_await give_back(c, h->id, was_ours, failure);
      const std::lock_guard guard{h->mutex};
      if (failure != nullptr)
        h->release_failed(failure);
      else
        h->released(was_ours);
      const bool kept = was_ours && in_time;
      co_return kept;
    }

    /// Asks the store even if the caller has been cancelled: nobody else would give the lock back.
    static awaitable<void> give_back(std::shared_ptr<core> c, const detail::hold::identity& id, bool& was_ours,
                                     std::exception_ptr& failure) {
      using result = decltype(c->store.release(id.key, id.owner));
      const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
      co_await boost::asio::this_coro::throw_if_cancelled(false);
      try {
        if constexpr (otlpkit::detail::is_awaitable<result>)
          was_ours = co_await c->store.release(id.key, id.owner);
        else
          was_ours = c->store.release(id.key, id.owner);
      } catch (...) {
        failure = std::current_exception();
      }
      co_await boost::asio::this_coro::throw_if_cancelled(throws);
    }
    /// What the store gave, or may have given, and nobody holds. If that fails, its time will be over some day.
    static awaitable<void> give_back_unused(std::shared_ptr<core> c, const detail::hold::identity& id) {
      bool was_ours = false;
      std::exception_ptr ignored;
      co_await give_back(c, id, was_ours, ignored);
    }

    const lock_options options;
    Store store;
    const detail::lock_telemetry telemetry;
    resilience::time_source& time;
  };
  using core_ptr = std::shared_ptr<core>;
  using timer_type = otlpkit::detail::wakeable_timer<Executor>;

  static awaitable<bool> sleep(core& c, std::shared_ptr<timer_type> timer, std::chrono::nanoseconds d) {
    return timer_type::wait(std::move(timer), std::chrono::steady_clock::now() + c.time.timer_for(d));
  }

  template <class F>
  static auto start(F& fn, held& mine) {
    if constexpr (std::is_invocable_v<F&, held&>)
      return fn(mine);
    else
      return fn();
  }

  static awaitable<held> obtain(core_ptr c, std::string key, std::chrono::nanoseconds max_wait) {
    auto found = co_await get(c, std::move(key), max_wait, false, nullptr);
    if (found == nullptr) throw lock_busy_error{c->telemetry.name};
    co_return held{c, std::move(found)};
  }
  static awaitable<std::optional<held>> attempt(core_ptr c, std::string key) {
    auto found = co_await get(c, std::move(key), std::chrono::nanoseconds::zero(), true, nullptr);
    if (found == nullptr) co_return std::nullopt;
    co_return std::optional<held>{held{c, std::move(found)}};
  }

  static awaitable<hold_ptr> get(core_ptr c, std::string key, std::chrono::nanoseconds max_wait, bool expected,
                                 std::optional<span_guard>* current) {
    detail::hold::identity id{c->telemetry.name + ":" + key, detail::new_owner()};
    const auto asked = co_await ask(c, id, std::move(key), max_wait, expected);
    if (!asked) co_return nullptr;
    hold_ptr held;
    std::exception_ptr failure;
    try {
      span* const guard = current != nullptr ? &current->emplace(std::string_view{c->telemetry.hold}) : nullptr;
      held = std::make_shared<detail::hold>(c->telemetry, c->options, id, *asked, c->time, guard);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure == nullptr) co_return held;
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);  // else a cancelled caller's would not begin
    co_await core::give_back_unused(c, id);
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    std::rethrow_exception(failure);
  }

  /// Within the span of the waiting, which ends before that of the hold begins.
  /// \return when the store was asked that gave the lock; nothing: others have it
  static awaitable<std::optional<resilience::time_point>> ask(core_ptr c, detail::hold::identity& id, std::string key,
                                                              std::chrono::nanoseconds max_wait, bool expected) {
    detail::acquire_record record{c->telemetry, c->options, key, id.owner, c->time};
    detail::poll_schedule schedule{c->options, c->time.now(), max_wait};
    const auto timer = std::make_shared<timer_type>(Executor{co_await boost::asio::this_coro::executor});
    std::exception_ptr failure, given_up;
    bool unsure = false;  // the store may have given the lock without our knowing
    while (given_up == nullptr) {
      record.attempt();
      const auto asked = c->time.now();
      failure = nullptr;
      try {
        using result = decltype(c->store.acquire(id.key, id.owner, c->options.ttl));
        std::optional<std::uint64_t> token;
        if constexpr (otlpkit::detail::is_awaitable<result>)
          token = co_await c->store.acquire(id.key, id.owner, c->options.ttl);
        else
          token = c->store.acquire(id.key, id.owner, c->options.ttl);
        if (!token) {
          record.contended();
        } else if (c->time.now() < asked + c->options.ttl - c->options.margin) {
          id.token = *token;
          record.acquired(id.token);
          co_return asked;
        } else {
          unsure = true;  // so late an answer is worth nothing
        }
      } catch (...) {
        failure = std::current_exception();
        unsure = true;
      }
      const auto cancelling = co_await boost::asio::this_coro::cancellation_state;
      if (failure != nullptr && cancelling.cancelled() != boost::asio::cancellation_type::none) break;
      const auto wait = schedule.next(c->time.now());
      if (!wait) break;
      try {
        co_await sleep(*c, timer, *wait);
      } catch (...) {
        given_up = std::current_exception();
      }
    }
    if (unsure) {
      const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
      co_await boost::asio::this_coro::throw_if_cancelled(false);  // else it would not begin
      co_await core::give_back_unused(c, id);
      co_await boost::asio::this_coro::throw_if_cancelled(throws);
    }
    if (given_up != nullptr) std::rethrow_exception(given_up);
    if (failure != nullptr) {
      record.failed(failure);
      std::rethrow_exception(failure);
    }
    record.busy(expected);
    co_return std::nullopt;
  }

  /// Renews until `done` is woken; throws when the lock is lost.
  static awaitable<void> watch(core_ptr c, hold_ptr h, std::shared_ptr<timer_type> done) {
    const auto pause = std::max<std::chrono::nanoseconds>(c->options.ttl / 20, std::chrono::milliseconds{1});
    auto due = h->renew_at();
    for (;;) {
      const auto now = c->time.now();
      if (co_await sleep(*c, done, due > now ? due - now : std::chrono::nanoseconds::zero())) co_return;
      co_await core::renew(c, h);
      if (h->over() || done->woken()) co_return;
      if (!h->valid()) throw lock_lost_error{c->telemetry.name};
      due = std::max(h->renew_at(), c->time.now() + pause);
    }
  }

  /// What the work ended with, once it was not the loss of the lock that ended it.
  template <class F, class Result>
  static awaitable<void> guarded(F& fn, held& mine, std::shared_ptr<timer_type> done, std::optional<Result>& result,
                                 std::exception_ptr& failure) {
    try {
      if constexpr (std::is_same_v<Result, std::monostate>) {
        co_await start(fn, mine);
        result.emplace();
      } else {
        result.emplace(co_await start(fn, mine));
      }
    } catch (...) {
      failure = std::current_exception();
    }
    done->wake();
  }

  template <class Result, class F>
  static awaitable<Result> run(core_ptr c, std::string key, std::chrono::nanoseconds max_wait, F fn) {
    const auto done = std::make_shared<timer_type>(Executor{co_await boost::asio::this_coro::executor});
    std::optional<span_guard> guard;
    const hold_ptr h = co_await get(c, std::move(key), max_wait, false, &guard);
    if (h == nullptr) throw lock_busy_error{c->telemetry.name};
    held mine{c, h};
    std::optional<otlpkit::detail::joined_result<Result>> result;
    std::exception_ptr failure, lost;
    try {
      co_await otlpkit::when_all(guarded(fn, mine, done, result, failure), watch(c, h, done));
    } catch (...) {
      lost = std::current_exception();
    }
    const bool kept = h->valid();
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);  // else a cancelled caller's release would not begin
    co_await core::release(c, h);
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    if (lost == nullptr && failure == nullptr && (!kept || h->split()))
      lost = std::make_exception_ptr(lock_lost_error{c->telemetry.name});
    if (lost != nullptr || failure != nullptr) {
      h->task_failed();
      try {
        std::rethrow_exception(lost != nullptr ? lost : failure);
      } catch (...) {
        record_current_exception(*guard);
        throw;
      }
    }
    if constexpr (!std::is_void_v<Result>) co_return std::move(*result);
  }

  core_ptr core_;
};

template <class Store>
async_distributed_lock(Store&&) -> async_distributed_lock<Store, boost::asio::any_io_executor>;
template <class Store>
async_distributed_lock(Store&&, lock_options) -> async_distributed_lock<Store, boost::asio::any_io_executor>;

}  // namespace otlpkit::inline OTLPKIT_ABI::lock
