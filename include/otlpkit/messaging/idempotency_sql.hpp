// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/traced_db.hpp>
#include <otlpkit/messaging/idempotency_store.hpp>
#include <otlpkit/messaging/sql.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

struct sql_idempotency_options {
  std::string table = "otlpkit_idempotency";
  detail::unix_clock now = nullptr;  ///< nullptr: the system's clock, which all who share the table should agree on
};

/// The statement that makes the table, unless there is one.
[[nodiscard]] inline std::string idempotency_table(sql_dialect d, const std::string& table = "otlpkit_idempotency") {
  const std::string bytes{detail::bytes_type(d)};
  return "CREATE TABLE IF NOT EXISTS " + detail::checked_table(table) + " (name TEXT NOT NULL, idempotency_key " +
         bytes + " NOT NULL, owner TEXT NOT NULL, state INTEGER NOT NULL, fingerprint " + bytes + " NOT NULL, result " +
         bytes + " NOT NULL, context TEXT NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY (name, idempotency_key))";
}

/// Keys in a table (see idempotency_table()) of SQLite or PostgreSQL, shared by all programs that use it.
///
/// Within a transaction of the caller's on the same connection, key and business change last together or not at all:
/// then nothing runs twice, even if the program dies. Callers of the same key wait for the transaction's end there.
/// \tparam Source a traced_db, for one thread at a time, or a db::pool of them, for any; must outlive this
template <class Source>
class sql_idempotency_store {
 public:
  /// Throws config_error for a table that has no possible name.
  explicit sql_idempotency_store(Source& source, sql_idempotency_options options = {})
      : source_{source}, now_{options.now != nullptr ? options.now : detail::system_unix_ms} {
    const std::string& table = detail::checked_table(options.table);
    // Taken over in one statement: of two that ask at once, one changes a row.
    claim_ = "INSERT INTO " + table +
             " (name, idempotency_key, owner, state, fingerprint, result, context, expires_at)"
             " VALUES ($1, $2, $3, 0, $4, $5, $6, $7) ON CONFLICT (name, idempotency_key) DO UPDATE SET"
             " owner = excluded.owner, state = 0, fingerprint = excluded.fingerprint, result = excluded.result,"
             " context = excluded.context, expires_at = excluded.expires_at WHERE " +
             table + ".expires_at <= $8";
    look_ = "SELECT state, fingerprint, result, context FROM " + table + " WHERE name = $1 AND idempotency_key = $2";
    finish_ = "UPDATE " + table +
              " SET state = $1, result = $2, expires_at = $3"
              " WHERE name = $4 AND idempotency_key = $5 AND owner = $6 AND state = 0";
    release_ = "DELETE FROM " + table + " WHERE name = $1 AND idempotency_key = $2 AND owner = $3 AND state = 0";
    sweep_ = "DELETE FROM " + table + " WHERE expires_at <= $1";
  }

  [[nodiscard]] idempotency_entry begin(const idempotency_claim& c) {
    struct found {
      std::int64_t state;
      std::string fingerprint, result, context;
    };
    return detail::with_connection(source_, [&](auto& db) -> idempotency_entry {
      for (;;) {
        const std::int64_t now = now_();
        if (db.execute(claim_, c.name, detail::bytes_of(c.key), c.owner, detail::bytes_of(c.fingerprint),
                       detail::bytes_of({}), c.context, now + detail::milliseconds_of(c.lease), now) == 1)
          return {};
        const auto there = db.template query_optional<found>(look_, c.name, detail::bytes_of(c.key));
        if (!there) continue;  // released meanwhile
        constexpr idempotency_state states[] = {idempotency_state::in_progress, idempotency_state::succeeded,
                                                idempotency_state::failed};
        return {states[there->state >= 0 && there->state < 3 ? there->state : 0], there->fingerprint, there->result,
                there->context};
      }
    });
  }

  bool finish(const idempotency_claim& c, idempotency_state state, std::string_view result,
              std::chrono::nanoseconds ttl) {
    return detail::with_connection(source_, [&](auto& db) {
      return db.execute(finish_, state == idempotency_state::succeeded ? 1 : 2, detail::bytes_of(result),
                        now_() + detail::milliseconds_of(ttl), c.name, detail::bytes_of(c.key), c.owner) == 1;
    });
  }

  bool release(const idempotency_claim& c) {
    return detail::with_connection(
        source_, [&](auto& db) { return db.execute(release_, c.name, detail::bytes_of(c.key), c.owner) == 1; });
  }

  /// Takes away what is past its time; call it now and then. \return how many rows there were
  std::int64_t erase_expired() {
    return detail::with_connection(source_, [&](auto& db) { return std::int64_t{db.execute(sweep_, now_())}; });
  }

 private:
  Source& source_;
  detail::unix_clock now_;
  std::string claim_, look_, finish_, release_, sweep_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
