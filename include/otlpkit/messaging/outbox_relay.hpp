// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/transaction.hpp>
#include <otlpkit/messaging/outbox_run.hpp>
#include <otlpkit/resilience/settled.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// Sends what outboxes wrote: at least once, in order per destination and key. Any number of relays may work on one
/// table, in as many processes: each message is taken by one of them, with a lease, and goes to another only when that
/// one died or was too slow. No transaction is open and no connection is taken while messages are published.
///
/// \code
/// otlpkit::messaging::traced_producer producer{broker};
/// otlpkit::messaging::outbox_relay relay{pool, producer, {.name = "orders"}};
/// std::jthread sending{[&](std::stop_token stop) { relay.run(stop); }};
/// \endcode
///
/// One thread at a time, but for name().
/// \tparam Source a db::pool of traced_db, or one traced_db. Must outlive this, as must the producer
/// \tparam Producer anything with publish(destination, message), which throws or returns a failure when it is not sent
template <class Source, class Producer>
class outbox_relay {
 public:
  /// Throws config_error for options that make no sense.
  outbox_relay(Source& source, Producer& producer, outbox_relay_options options = {})
      : source_{source}, producer_{producer}, core_{std::move(options)} {}

  /// Takes what is due, up to a batch, and publishes it. Failures to publish are in the result and in the table; what
  /// the database fails with is thrown. Looks that find nothing leave no span.
  relayed relay() {
    if (!any()) return {};
    detail::outbox_run run{core_};
    try {
      if (!take(run)) return {};
      while (auto due = run.next()) publish(run, *due->first, std::move(due->second));
      return run.finish(mark(run));
    } catch (...) {
      run.failed(std::current_exception());
      throw;
    }
  }

  /// Goes on until asked to stop, which ends its waiting, too. Errors of the database are on the spans and in the
  /// diagnostics, and it tries again after poll_interval.
  void run(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any waiting;  // for nothing but the stop
    std::optional<resilience::time_point> measured;
    while (!stop.stop_requested()) {
      bool more = false;
      try {
        const relayed r = relay();
        more = r.sent + r.parked > 0;
        if (const auto now = core_.time.now(); !measured || now - *measured >= core_.options.measure_interval) {
          measured = now;
          static_cast<void>(measure());
        }
      } catch (...) {
        core_.report(std::current_exception());
      }
      if (more || stop.stop_requested()) continue;
      const auto until =
          resilience::time_after(resilience::clock::now(), core_.time.timer_for(core_.options.poll_interval));
      std::unique_lock lock{mutex};
      waiting.wait_until(lock, stop, until, [] { return false; });
    }
  }

  /// Counts what waits, for the metrics too.
  outbox_backlog measure() {
    return look([&](auto& db) {
      const auto& sql = core_.statements_for(db.info());
      const db::result pending = db.wrapped().query(sql.pending, {});
      const auto backlog = core_.backlog(pending, db.wrapped().query(sql.parked, {}));
      core_.tell(backlog);
      return backlog;
    });
  }

  /// Lets what is parked be tried again, from the first attempt on. \return how many messages there were
  std::int64_t unpark() {
    return detail::with_connection(source_, [&](auto& db) {
      const auto& sql = core_.statements_for(db.info());
      return std::int64_t{db.execute(sql.unpark, core_.now())};
    });
  }

  /// Takes messages away that were sent so long ago. \return how many there were
  std::int64_t erase_sent(std::chrono::nanoseconds older_than) {
    return detail::with_connection(source_, [&](auto& db) {
      const auto& sql = core_.statements_for(db.info());
      return std::int64_t{db.execute(sql.erase, core_.now() - older_than.count() / 1'000'000)};
    });
  }

  [[nodiscard]] std::string_view name() const noexcept { return core_.options.name; }

 private:
  /// Without a span, unless it fails: most looks find nothing.
  template <class F>
  auto look(F fn) {
    try {
      return detail::with_connection(source_, fn);
    } catch (...) {
      detail::outbox_run{core_}.failed(std::current_exception());
      throw;
    }
  }
  bool any() {
    return look([&](auto& db) {
      const db::parameter now{core_.now()};
      return !db.wrapped().query(core_.statements_for(db.info()).any, std::span{&now, 1}).empty();
    });
  }

  /// \return false if others were faster
  bool take(detail::outbox_run& run) {
    return detail::with_connection(source_, [&](auto& db) {
      auto tx = db.transaction({.isolation = db::isolation::read_committed});
      const db::result heads = db.query(run.statements().heads, run.head_values());
      if (!heads.empty()) run.took(db.query(run.statements().take, run.take_values(heads)));
      tx.commit();
      return !heads.empty();
    });
  }

  void publish(detail::outbox_run& run, const detail::outbox_row& row, message m) {
    using result = decltype(producer_.publish(std::string_view{}, std::move(m)));
    std::optional<remote_scope> writer;
    if (auto from = extract(m.headers); from.valid() && core_.options.continue_trace) writer.emplace(std::move(from));
    const auto ended = resilience::detail::settled<result>::of(
        [&]() -> result { return producer_.publish(std::string_view{row.destination}, std::move(m)); });
    writer.reset();
    run.ended(row, ended.view());
  }

  std::size_t mark(detail::outbox_run& run) {
    return detail::with_connection(source_, [&](auto& db) {
      const auto& sql = run.statements();
      std::size_t marked = 0;
      if (!run.batch().sent_ids().empty()) marked = static_cast<std::size_t>(db.execute(sql.sent, run.sent_values()));
      for (const auto& f : run.batch().failures()) db.execute(sql.failed, run.failed_values(f));
      if (run.batch().unused() > 0) db.execute(sql.release, run.release_values());
      return marked;
    });
  }

  Source& source_;
  Producer& producer_;
  detail::outbox_core core_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
