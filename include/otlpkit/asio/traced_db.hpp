// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/observed_call.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstdint>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

// traced_db over connections whose calls are awaited: include this where such a connection is used. Queries, statements
// and batches then return awaitables.
namespace otlpkit::inline OTLPKIT_ABI::db {

namespace detail {

template <class T, class Executor>
struct result_mapper<boost::asio::awaitable<T, Executor>> {
  using statement = std::string;
  template <class F>
  static boost::asio::awaitable<std::invoke_result_t<F&, T&>, Executor> run(boost::asio::awaitable<T, Executor> rows,
                                                                            F fn) {
    T all = co_await std::move(rows);
    co_return fn(all);
  }
};

template <class T, class Executor>
struct batch_runner<boost::asio::awaitable<T, Executor>> {
  template <class Connection, class Statements>
  static boost::asio::awaitable<std::int64_t, Executor> run(Connection& c, Statements all) {
    std::int64_t changed = 0;
    while (all.more()) changed += co_await all.run_next(c);
    co_return changed;
  }
};

template <class T>
struct awaited;
template <class T, class Executor>
struct awaited<boost::asio::awaitable<T, Executor>> {
  using type = T;
};

}  // namespace detail

/// Runs `work(db)`, which is awaited, in a transaction: committed when it returns, rolled back when it throws or is
/// cancelled. Returns what it returns; what it throws is thrown when the roll-back is over, however that ended. Spans
/// BEGIN, COMMIT, ROLLBACK. `db` must live until then; `work` is kept.
template <connection Connection, class Work, class Awaitable = std::invoke_result_t<Work&, traced_db<Connection>&>>
requires(!blocking_connection<Connection>) Awaitable
    in_transaction(traced_db<Connection>& db, Work work, transaction_options options = {}) {
  using done_type = typename detail::awaited<Awaitable>::type;
  co_await db.execute(begin_statement(db.info(), options));
  std::exception_ptr failure;
  try {
    if constexpr (std::is_void_v<done_type>) {
      co_await work(db);
      co_await db.execute("COMMIT");
      co_return;
    } else {
      done_type done = co_await work(db);
      co_await db.execute("COMMIT");
      co_return done;
    }
  } catch (...) {
    failure = std::current_exception();
  }
  const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
  co_await boost::asio::this_coro::throw_if_cancelled(false);  // else a cancelled caller could not roll back
  try {
    if (!db.broken()) co_await db.execute("ROLLBACK");
  } catch (const std::exception&) {  // its span says so; the transaction goes with the connection
  }
  co_await boost::asio::this_coro::throw_if_cancelled(throws);
  std::rethrow_exception(failure);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::db
