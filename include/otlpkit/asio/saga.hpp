// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/await_call.hpp>
#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/messaging/saga.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// saga for coroutines: steps and compensations return awaitables of nothing, and run() and resume() are awaited.
/// Strategies of steps need their headers in otlpkit/asio/.
///
/// When the caller is cancelled, the step under way is; then, or before the next one, the saga fails and is undone.
/// What undoes is not cancelled. Saga, state and journal must live until the end.
template <class State, class Executor = boost::asio::any_io_executor>
class async_saga
    : public detail::saga_steps<async_saga<State, Executor>, State, boost::asio::awaitable<void, Executor>> {
  using base = detail::saga_steps<async_saga<State, Executor>, State, boost::asio::awaitable<void, Executor>>;
  template <class T>
  using awaitable = boost::asio::awaitable<T, Executor>;

 public:
  explicit async_saga(saga_options options = {}) : base{std::move(options)} {}

  /// As saga::run().
  [[nodiscard]] awaitable<void> run(State& state, std::string_view id = {}) const {
    return begin(state, static_cast<saga_journal*>(nullptr), std::string{id});
  }
  /// \param journal has append() and entries() as saga_journal has; they may return awaitables (see
  ///                offloaded_saga_journal)
  template <class Journal>
  [[nodiscard]] awaitable<void> run(State& state, Journal& journal, std::string_view id) const {
    return begin(state, &journal, std::string{id});
  }

  /// As saga::resume().
  template <class Journal>
  [[nodiscard]] awaitable<bool> resume(State& state, Journal& journal, std::string_view id) const {
    return go_on(state, &journal, std::string{id});
  }

 private:
  template <class Journal>
  awaitable<void> begin(State& state, Journal* journal, std::string id) const {
    const std::vector<saga_entry> none;
    co_await drive(state, journal, id, none);
  }
  template <class Journal>
  awaitable<bool> go_on(State& state, Journal* journal, std::string id) const {
    const auto entries =
        co_await otlpkit::detail::await_call<Executor>([&] { return journal->entries(this->name(), id); });
    if (entries.empty()) co_return false;
    this->restore(state, entries);
    co_return co_await drive(state, journal, id, entries);
  }

  template <class Journal>
  awaitable<bool> drive(State& state, Journal* journal, const std::string& id,
                        const std::vector<saga_entry>& before) const {
    detail::saga_run run{this->definition(), id, before};
    if (run.over()) co_return false;
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);  // a saga that was begun is brought to an end
    std::exception_ptr broken;
    try {
      const saga_entry opening = run.opening(this->encoded(state, journal));
      co_await write(run, journal, opening, nullptr);
      while (const auto due = run.next()) {
        const std::exception_ptr failure = co_await call(run, *due, state);
        const saga_entry after = run.after(*due, failure, this->encoded(state, journal));
        co_await write(run, journal, after, failure);
      }
      const saga_entry closing = run.closing();
      co_await write(run, journal, closing, nullptr);
    } catch (...) {
      broken = std::current_exception();
    }
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    if (broken != nullptr) {
      run.interrupted(broken);
      std::rethrow_exception(broken);
    }
    run.finish();
    co_return true;
  }

  /// What it failed with, or nullptr.
  awaitable<std::exception_ptr> call(const detail::saga_run& run, saga_machine::order due, State& state) const {
    const auto cancelling = co_await boost::asio::this_coro::cancellation_state;
    const bool cancelled = cancelling.cancelled() != boost::asio::cancellation_type::none;
    if (!due.compensate && cancelled)
      co_return std::make_exception_ptr(boost::system::system_error{boost::asio::error::operation_aborted});
    if (!cancelled) co_return co_await perform(run, due, state);
    // By a coroutine of its own, which knows nothing of the cancellation: else retries would give up.
    const Executor ex = co_await boost::asio::this_coro::executor;
    boost::asio::use_awaitable_t<Executor> token;
    co_return co_await co_spawn(ex, perform(run, due, state),
                                boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot{}, token));
  }

  awaitable<std::exception_ptr> perform(const detail::saga_run& run, saga_machine::order due, State& state) const {
    span_guard span = run.begin(due);
    const saga_step where = run.told(due);
    std::exception_ptr failure;
    try {
      co_await this->function_of(due)(state, where);
    } catch (...) {
      failure = std::current_exception();
    }
    detail::saga_run::end(span, failure);
    co_return failure;
  }

  template <class Journal>
  static awaitable<void> write(detail::saga_run& run, Journal* journal, const saga_entry& e,
                               std::exception_ptr failure) {
    if (journal != nullptr) {
      const bool ours = co_await otlpkit::detail::await_call<Executor>(
          [&] { return journal->append(run.name(), run.id(), run.number(), e); });
      if (!ours) throw saga_taken_error{run.name()};
    }
    run.apply(e, failure);
  }
};

/// A journal whose calls block, for awaitable sagas: each call is made on a pool's threads. Pool and journal must
/// outlive it and every call.
template <class Pool, class Executor = boost::asio::any_io_executor>
class offloaded_saga_journal {
 public:
  offloaded_saga_journal(Pool& pool, saga_journal& journal) noexcept : pool_{pool}, journal_{journal} {}

  [[nodiscard]] auto append(std::string_view saga, std::string_view id, std::size_t number, const saga_entry& entry) {
    return offload<Executor>(pool_, [&j = journal_, s = std::string{saga}, i = std::string{id}, number, entry] {
      return j.append(s, i, number, entry);
    });
  }
  [[nodiscard]] auto entries(std::string_view saga, std::string_view id) {
    return offload<Executor>(pool_,
                             [&j = journal_, s = std::string{saga}, i = std::string{id}] { return j.entries(s, i); });
  }

 private:
  Pool& pool_;
  saga_journal& journal_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
