// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/result.hpp>
#include <otlpkit/messaging/outbox_batch.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging::detail {

/// What a relay says to the database. States of a row: 0 pending, 1 sent, 2 parked. A pending row that is taken, or
/// waits for another attempt, has its available_at in the future.
///
/// Order per key, with several relays: only who locks the first pending row of a key takes rows of it, and takes them
/// from the first one on. Rows that another relay is about to take are locked, and passed over; those it has taken are
/// not available, which holds up all behind them.
struct outbox_statements {
  outbox_statements(const outbox_relay_options& o, sql_dialect d) : batch{o.batch} {
    const std::string& table = checked_table(o.table);
    const std::string behind_another =
        "EXISTS (SELECT 1 FROM " + table +
        " e WHERE e.state = 0 AND e.destination = o.destination AND e.message_key = o.message_key AND e.id < o.id)";
    const std::string first = " FROM " + table +
                              " o WHERE o.state = 0 AND o.available_at <= $1 AND (length(o.message_key) = 0 OR NOT " +
                              behind_another + ")";
    any = "SELECT o.id" + first + " LIMIT 1";
    heads = "SELECT o.id" + first + " ORDER BY o.id LIMIT $2";
    if (d == sql_dialect::postgresql) heads += " FOR UPDATE SKIP LOCKED";
    take = "UPDATE " + table + " SET claimed_by = $1, available_at = $2 WHERE id IN (SELECT f.id FROM " + table +
           " f WHERE f.state = 0 AND f.available_at <= $3 AND EXISTS (SELECT 1 FROM " + table + " h WHERE h.id IN (" +
           db::placeholders(batch, 5) +
           ") AND (h.id = f.id OR (length(h.message_key) > 0 AND h.destination = f.destination AND"
           " h.message_key = f.message_key))) AND NOT EXISTS (SELECT 1 FROM " +
           table +
           " g WHERE g.state = 0 AND g.available_at > $3 AND g.destination = f.destination AND"
           " g.message_key = f.message_key AND g.id < f.id AND length(g.message_key) > 0) ORDER BY f.id LIMIT $4)"
           " RETURNING id, destination, message_key, body, headers, created_at, attempts";
    const std::string ours = " WHERE claimed_by = $1 AND state = 0";
    const std::string of_batch = ours + " AND id IN (" + db::placeholders(batch, o.keep_sent ? 3 : 2) + ")";
    sent = o.keep_sent ? "UPDATE " + table + " SET state = 1, sent_at = $2, claimed_by = ''" + of_batch
                       : "DELETE FROM " + table + of_batch;
    failed = "UPDATE " + table + " SET attempts = $2, state = $3, available_at = $4, error = $5, claimed_by = ''" +
             ours + " AND id = $6";
    release = "UPDATE " + table + " SET available_at = $2, claimed_by = ''" + ours;
    pending = "SELECT COUNT(*), COALESCE(MIN(created_at), 0) FROM " + table + " WHERE state = 0";
    parked = "SELECT COUNT(*) FROM " + table + " WHERE state = 2";
    unpark = "UPDATE " + table + " SET state = 0, attempts = 0, available_at = $1 WHERE state = 2";
    erase = "DELETE FROM " + table + " WHERE state = 1 AND sent_at <= $1";
  }

  /// Exactly as many values as a batch has places, so that each statement has one text.
  void pad(std::vector<db::parameter>& values, std::size_t places_before) const {
    values.resize(places_before + batch, db::parameter{std::int64_t{-1}});
  }

  [[nodiscard]] std::vector<db::parameter> take_values(std::string_view token, std::int64_t end, std::int64_t now,
                                                       const db::result& first) const {
    std::vector<db::parameter> values{token, end, now, static_cast<std::int64_t>(batch)};
    for (std::size_t i = 0; i < first.size(); ++i) values.emplace_back(db::row{first, i}.get<std::int64_t>(0));
    pad(values, 4);
    return values;
  }
  [[nodiscard]] std::vector<db::parameter> sent_values(std::string_view token, bool keep, std::int64_t now,
                                                       const std::vector<std::int64_t>& ids) const {
    std::vector<db::parameter> values{token};
    if (keep) values.emplace_back(now);
    const std::size_t before = values.size();
    for (const std::int64_t id : ids) values.emplace_back(id);
    pad(values, before);
    return values;
  }

  [[nodiscard]] static std::vector<outbox_row> rows(const db::result& taken) {
    std::vector<outbox_row> out;
    out.reserve(taken.size());
    for (std::size_t i = 0; i < taken.size(); ++i) {
      const db::row r{taken, i};
      out.push_back({r.get<std::int64_t>(0), r.get<std::string>(1), r.get<std::string>(2), r.get<std::string>(3),
                     r.get<std::string>(4), r.get<std::int64_t>(5), r.get<std::int64_t>(6)});
    }
    return out;
  }

  std::size_t batch;
  std::string any, heads, take, sent, failed, release, pending, parked, unpark, erase;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging::detail
