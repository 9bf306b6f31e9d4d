// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/traced_db.hpp>
#include <otlpkit/messaging/saga_journal.hpp>
#include <otlpkit/messaging/sql.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

struct sql_saga_options {
  std::string table = "otlpkit_saga";
  detail::unix_clock now = nullptr;  ///< nullptr: the system's clock
};

/// The statement that makes the table, unless there is one.
[[nodiscard]] inline std::string saga_table(sql_dialect d, const std::string& table = "otlpkit_saga") {
  const std::string bytes{detail::bytes_type(d)};
  return "CREATE TABLE IF NOT EXISTS " + detail::checked_table(table) + " (saga TEXT NOT NULL, id " + bytes +
         " NOT NULL, number BIGINT NOT NULL, event TEXT NOT NULL, step TEXT NOT NULL, error " + bytes +
         " NOT NULL, state " + bytes +
         " NOT NULL, context TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (saga, id, number))";
}

/// A journal of sagas in a table (see saga_table()) of SQLite or PostgreSQL. Rows are only ever added, so that it shows
/// what happened; take away those of old sagas when they are no longer of interest.
/// \tparam Source a traced_db, for one thread at a time, or a db::pool of them, for any; must outlive this
template <class Source>
class sql_saga_journal final : public saga_journal {
 public:
  /// Throws config_error for a table that has no possible name.
  explicit sql_saga_journal(Source& source, sql_saga_options options = {})
      : source_{source}, now_{options.now != nullptr ? options.now : detail::system_unix_ms} {
    const std::string& table = detail::checked_table(options.table);
    append_ = "INSERT INTO " + table +
              " (saga, id, number, event, step, error, state, context, at)"
              " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (saga, id, number) DO NOTHING";
    read_ = "SELECT event, step, error, state, context FROM " + table + " WHERE saga = $1 AND id = $2 ORDER BY number";
    unfinished_ = "SELECT j.id FROM " + table +
                  " j WHERE j.saga = $1 AND j.event <> 'ended' AND j.at <= $2 AND j.number ="
                  " (SELECT MAX(k.number) FROM " +
                  table + " k WHERE k.saga = j.saga AND k.id = j.id) ORDER BY j.at LIMIT $3";
  }

  bool append(std::string_view saga, std::string_view id, std::size_t number, const saga_entry& e) override {
    return detail::with_connection(source_, [&](auto& db) {
      return db.execute(append_, saga, detail::bytes_of(id), static_cast<std::int64_t>(number), to_string(e.event),
                        e.step, detail::bytes_of(e.error), detail::bytes_of(e.state), e.context, now_()) == 1;
    });
  }

  [[nodiscard]] std::vector<saga_entry> entries(std::string_view saga, std::string_view id) override {
    struct line {
      std::string event, step, error, state, context;
    };
    const auto lines = detail::with_connection(
        source_, [&](auto& db) { return db.template query<line>(read_, saga, detail::bytes_of(id)); });
    std::vector<saga_entry> out;
    for (const line& l : lines) out.push_back({saga_event_of(l.event), l.step, l.error, l.state, l.context});
    return out;
  }

  /// Sagas that have not ended and of which nothing was heard for so long: to be resumed, the oldest first.
  [[nodiscard]] std::vector<std::string> unfinished(std::string_view saga, std::chrono::nanoseconds silent_for,
                                                    std::int64_t most = 100) {
    return detail::with_connection(source_, [&](auto& db) {
      return db.template query<std::string>(unfinished_, saga, now_() - silent_for.count() / 1'000'000, most);
    });
  }

 private:
  Source& source_;
  detail::unix_clock now_;
  std::string append_, read_, unfinished_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
