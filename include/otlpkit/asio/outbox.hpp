// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/await_call.hpp>
#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/asio/traced_db.hpp>
#include <otlpkit/messaging/outbox_run.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// outbox_relay for coroutines, over connections whose calls are awaited. The producer's publish() may return an
/// awaitable or, if it does not block, a result. All calls are awaited; one at a time.
/// \tparam Source a db::async_pool of traced_db, or one traced_db. Must outlive this, as must the producer
template <class Source, class Producer, class Executor = boost::asio::any_io_executor>
class async_outbox_relay {
  template <class T>
  using awaitable = boost::asio::awaitable<T, Executor>;

 public:
  /// Throws config_error for options that make no sense.
  async_outbox_relay(Source& source, Producer& producer, outbox_relay_options options = {})
      : source_{source}, producer_{producer}, core_{std::move(options)} {}

  /// As outbox_relay::relay(). Cancelled, it marks what it has sent and gives the rest back.
  [[nodiscard]] awaitable<relayed> relay() {
    const bool found = co_await look<bool>([this](auto& db) { return this->any(db); });
    if (!found) co_return relayed{};
    detail::outbox_run run{core_};
    std::exception_ptr failure;
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    relayed done;
    try {
      const bool taken = co_await with_connection<bool>([this, &run](auto& db) { return this->take(db, run); });
      if (taken) {
        co_await boost::asio::this_coro::throw_if_cancelled(false);  // else what is sent could not be marked
        co_await publish_all(run);
        const std::size_t marked =
            co_await with_connection<std::size_t>([this, &run](auto& db) { return this->mark(db, run); });
        done = run.finish(marked);
      }
    } catch (...) {
      failure = std::current_exception();
    }
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    if (failure != nullptr) {
      run.failed(failure);
      std::rethrow_exception(failure);
    }
    co_return done;
  }

  /// Goes on until it is cancelled: then it throws operation_aborted. Errors of the database are on the spans and in
  /// the diagnostics, and it tries again after poll_interval.
  [[nodiscard]] awaitable<void> run() {
    std::optional<resilience::time_point> measured;
    for (;;) {
      bool more = false;
      std::exception_ptr failure;
      try {
        const relayed r = co_await relay();
        more = r.sent + r.parked > 0;
        if (const auto now = core_.time.now(); !measured || now - *measured >= core_.options.measure_interval) {
          measured = now;
          static_cast<void>(co_await measure());
        }
      } catch (...) {
        failure = std::current_exception();
      }
      const auto cancelling = co_await boost::asio::this_coro::cancellation_state;
      if (failure != nullptr && cancelling.cancelled() == boost::asio::cancellation_type::none) core_.report(failure);
      if (!more) co_await resilience::detail::wait_for<Executor>(core_.time, core_.options.poll_interval);
    }
  }

  /// Counts what waits, for the metrics too.
  [[nodiscard]] awaitable<outbox_backlog> measure() {
    co_return co_await look<outbox_backlog>([this](auto& db) { return this->count(db); });
  }

  /// As outbox_relay::unpark().
  [[nodiscard]] awaitable<std::int64_t> unpark() { return change(&detail::outbox_statements::unpark, core_.now()); }

  /// As outbox_relay::erase_sent().
  [[nodiscard]] awaitable<std::int64_t> erase_sent(std::chrono::nanoseconds older_than) {
    return change(&detail::outbox_statements::erase, core_.now() - older_than.count() / 1'000'000);
  }

  [[nodiscard]] std::string_view name() const noexcept { return core_.options.name; }

 private:
  awaitable<std::int64_t> change(std::string detail::outbox_statements::*sql, std::int64_t value) {
    co_return co_await with_connection<std::int64_t>(
        [this, sql, value](auto& db) { return db.execute(core_.statements_for(db.info()).*sql, value); });
  }

  /// Awaits `fn(db)` with a connection: of a pool, or the one there is.
  template <class T, class F>
  awaitable<T> with_connection(F fn) {
    if constexpr (requires { source_.acquire(); }) {
      auto lease = co_await source_.acquire();
      co_return co_await fn(*lease);
    } else {
      co_return co_await fn(source_);
    }
  }

  /// Without a span, unless it fails: most looks find nothing.
  template <class T, class F>
  awaitable<T> look(F fn) {
    try {
      co_return co_await with_connection<T>(std::move(fn));
    } catch (...) {
      detail::outbox_run{core_}.failed(std::current_exception());
      throw;
    }
  }

  template <class Db>
  awaitable<bool> any(Db& db) {
    const db::parameter now{core_.now()};
    const db::result found = co_await db.wrapped().query(core_.statements_for(db.info()).any, std::span{&now, 1});
    co_return !found.empty();
  }

  template <class Db>
  awaitable<bool> take(Db& db, detail::outbox_run& run) {
    const db::transaction_options begin{.isolation = db::isolation::read_committed};
    co_return co_await db::in_transaction(
        db,
        [&run](auto& in) -> awaitable<bool> {
          const auto heads_values = run.head_values();
          const db::result heads = co_await in.query(run.statements().heads, heads_values);
          if (heads.empty()) co_return false;
          const auto values = run.take_values(heads);
          const db::result rows = co_await in.query(run.statements().take, values);
          run.took(rows);
          co_return true;
        },
        begin);
  }

  awaitable<void> publish_all(detail::outbox_run& run) {
    for (;;) {
      const auto cancelling = co_await boost::asio::this_coro::cancellation_state;
      if (cancelling.cancelled() != boost::asio::cancellation_type::none) break;
      auto due = run.next();
      if (!due) break;
      co_await publish(run, *due->first, std::move(due->second));
    }
  }

  awaitable<void> publish(detail::outbox_run& run, const detail::outbox_row& row, message m) {
    const auto send = [&] { return producer_.publish(std::string_view{row.destination}, std::move(m)); };
    using result = otlpkit::detail::call_result<decltype(send)>;
    std::optional<remote_scope> writer;
    if (auto from = extract(m.headers); from.valid() && core_.options.continue_trace) writer.emplace(std::move(from));
    const auto work = [&send] { return otlpkit::detail::await_call<Executor>(send); };
    const auto ended = co_await resilience::detail::settle<result, Executor>(work);
    writer.reset();
    run.ended(row, ended.view());
  }

  template <class Db>
  awaitable<std::size_t> mark(Db& db, detail::outbox_run& run) {
    const auto& sql = run.statements();
    std::size_t marked = 0;
    if (!run.batch().sent_ids().empty()) {
      const auto values = run.sent_values();
      marked = static_cast<std::size_t>(co_await db.execute(sql.sent, values));
    }
    for (const auto& f : run.batch().failures()) {
      const auto values = run.failed_values(f);
      co_await db.execute(sql.failed, values);
    }
    if (run.batch().unused() > 0) {
      const auto values = run.release_values();
      co_await db.execute(sql.release, values);
    }
    co_return marked;
  }

  template <class Db>
  awaitable<outbox_backlog> count(Db& db) {
    const auto& sql = core_.statements_for(db.info());
    const db::result pending = co_await db.wrapped().query(sql.pending, {});
    const db::result parked = co_await db.wrapped().query(sql.parked, {});
    const outbox_backlog found = core_.backlog(pending, parked);
    core_.tell(found);
    co_return found;
  }

  Source& source_;
  Producer& producer_;
  detail::outbox_core core_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
