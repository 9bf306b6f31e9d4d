// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/traced_db.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// How strictly transactions are kept apart; `standard`: as the database does it unless told otherwise.
enum class isolation : std::uint8_t { standard, read_committed, repeatable_read, serializable };

struct transaction_options {
  db::isolation isolation = db::isolation::standard;  ///< SQLite has one level, serializable, whatever is asked for
  bool read_only = false;
};

/// The statement that begins such a transaction.
[[nodiscard]] inline std::string begin_statement(const connection_info& info, const transaction_options& options) {
  if (info.system_name == "sqlite") return options.read_only ? "BEGIN" : info.begin;
  std::string sql = info.begin;
  switch (options.isolation) {
    case isolation::standard: break;
    case isolation::read_committed: sql += " ISOLATION LEVEL READ COMMITTED"; break;
    case isolation::repeatable_read: sql += " ISOLATION LEVEL REPEATABLE READ"; break;
    case isolation::serializable: sql += " ISOLATION LEVEL SERIALIZABLE"; break;
  }
  if (options.read_only) sql += " READ ONLY";
  return sql;
}

template <blocking_connection Connection>
class savepoint;

/// A transaction that is rolled back unless it was committed: also when an exception leaves its scope. Spans BEGIN,
/// COMMIT, ROLLBACK. Use it on the connection's thread, and not longer than the connection lives.
///
/// \code
/// auto tx = db.transaction();
/// db.execute("UPDATE ...");
/// tx.commit();
/// \endcode
template <blocking_connection Connection>
class [[nodiscard]] transaction {
 public:
  explicit transaction(traced_db<Connection>& db) : transaction{db, transaction_options{}} {}
  transaction(traced_db<Connection>& db, const transaction_options& options) : db_{&db} {
    db.execute(begin_statement(db.info(), options));
  }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  /// A roll-back that fails is recorded in its span and goes no further: the database drops the transaction with the
  /// connection. One that is broken() already is not asked.
  ~transaction() {
    if (!open_ || db_->broken()) return;
    try {
      rollback();
    } catch (...) {
    }
  }

  /// Makes the changes last. When it throws they may still be rolled back, and will be by the destructor.
  void commit() {
    db_->execute("COMMIT");
    open_ = false;
  }

  void rollback() {
    open_ = false;
    db_->execute("ROLLBACK");
  }

  /// A part that can be undone by itself.
  [[nodiscard]] db::savepoint<Connection> savepoint() { return db::savepoint<Connection>{*db_, ++savepoints_}; }

  [[nodiscard]] bool open() const noexcept { return open_; }

 private:
  traced_db<Connection>* db_;
  std::size_t savepoints_ = 0;
  bool open_ = true;
};

/// A part of a transaction, undone unless it was released. Spans SAVEPOINT and RELEASE, with ROLLBACK before it when it
/// is undone. They nest as scopes do.
template <blocking_connection Connection>
class [[nodiscard]] savepoint {
 public:
  savepoint(traced_db<Connection>& db, std::size_t number) : db_{&db}, name_{"otlpkit_" + std::to_string(number)} {
    db.execute("SAVEPOINT " + name_);
  }
  savepoint(const savepoint&) = delete;
  savepoint& operator=(const savepoint&) = delete;
  ~savepoint() {
    if (!open_ || db_->broken()) return;
    try {
      rollback();
    } catch (...) {
    }
  }

  /// Makes the part belong to the transaction.
  void release() {
    db_->execute("RELEASE SAVEPOINT " + name_);
    open_ = false;
  }

  /// Undoes the part; the transaction goes on.
  void rollback() {
    open_ = false;
    db_->execute("ROLLBACK TO SAVEPOINT " + name_);
    db_->execute("RELEASE SAVEPOINT " + name_);  // else all later parts would nest in this one
  }

 private:
  traced_db<Connection>* db_;
  std::string name_;
  bool open_ = true;
};

/// Runs `work(db)` in a transaction: committed when it returns, rolled back when it throws. Returns what it returns. A
/// serialization failure goes to the caller (see is_serialization_failure()): wrap this call in a retry.
template <blocking_connection Connection, std::invocable<traced_db<Connection>&> Work>
auto in_transaction(traced_db<Connection>& db, Work&& work, const transaction_options& options = {}) {
  auto tx = db.transaction(options);
  if constexpr (std::is_void_v<std::invoke_result_t<Work, traced_db<Connection>&>>) {
    std::invoke(std::forward<Work>(work), db);
    tx.commit();
  } else {
    auto done = std::invoke(std::forward<Work>(work), db);
    tx.commit();
    return done;
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::db
