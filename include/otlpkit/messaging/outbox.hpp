// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/traced_db.hpp>
#include <otlpkit/messaging/message.hpp>
#include <otlpkit/messaging/sql.hpp>
#include <otlpkit/messaging/stored_hash.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// A message that is to be sent once its transaction is committed.
struct outbox_message {
  std::string destination;
  std::string key{};  ///< messages of one destination and key are sent in order; empty: no order. Any length
  std::string body{};
  message_headers headers{};
};

struct outbox_options {
  std::string table = "otlpkit_outbox";
  std::string system = "outbox";     ///< messaging.system where a message is made; better the broker's, if it is known
  detail::unix_clock now = nullptr;  ///< nullptr: the system's clock
};

/// The statements that make the table and its indexes, unless they are there. For db::traced_db::execute(), each.
[[nodiscard]] inline std::vector<std::string> outbox_table(sql_dialect d, const std::string& table = "otlpkit_outbox") {
  const std::string bytes{detail::bytes_type(d)};
  const std::string id = d == sql_dialect::postgresql ? "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
                                                      : "INTEGER PRIMARY KEY AUTOINCREMENT";
  const auto index = [&](std::string_view name, std::string_view columns) {
    return "CREATE INDEX IF NOT EXISTS " + detail::index_name(table, name) + " ON " + table + " (" +
           std::string{columns} + ") WHERE state = 0";
  };
  return {"CREATE TABLE IF NOT EXISTS " + detail::checked_table(table) + " (id " + id +
              ", destination TEXT NOT NULL, message_key " + bytes + " NOT NULL, body " + bytes + " NOT NULL, headers " +
              bytes +
              " NOT NULL, created_at BIGINT NOT NULL, available_at BIGINT NOT NULL,"
              " attempts INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0,"
              " claimed_by TEXT NOT NULL DEFAULT '', error " +
              bytes + ", sent_at BIGINT)",
          index("_pending", "id"), index("_keys", "destination, message_key, id")};
}

namespace detail {

/// Headers as bytes: each name and value as `length:text`.
[[nodiscard]] inline std::string encode_headers(const message_headers& headers) {
  std::string out;
  for (const auto& [name, value] : headers) {
    for (const std::string* const part : {&name, &value}) {
      out.append(std::to_string(part->size())).append(":").append(*part);
    }
  }
  return out;
}

/// \return false for bytes encode_headers() did not make
[[nodiscard]] inline bool decode_headers(std::string_view bytes, message_headers& out) {
  const auto part = [&bytes](std::string& into) {
    std::size_t size = 0;
    const auto [end, failed] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), size);
    const auto digits = static_cast<std::size_t>(end - bytes.data());
    if (failed != std::errc{} || digits == bytes.size() || *end != ':' || size > bytes.size() - digits - 1)
      return false;
    into.assign(end + 1, size);
    bytes.remove_prefix(digits + 1 + size);
    return true;
  };
  while (!bytes.empty()) {
    auto& [name, value] = out.emplace_back();
    if (!part(name) || !part(value)) return false;
  }
  return true;
}

/// The span that makes a message: what is sent, and whoever receives it, refers to it. Messages that come from
/// elsewhere keep the context they have.
inline void create_context([[maybe_unused]] outbox_message& m, [[maybe_unused]] const std::string& system) {
#ifndef OTLPKIT_DISABLE
  if (extract(m.headers).valid()) return;
  const span made{"create " + m.destination,
                  {{"messaging.operation.name", "create"},
                   {"messaging.operation.type", "create"},
                   {"messaging.system", system},
                   {"messaging.destination.name", m.destination}},
                  {.kind = span_kind::producer}};
  inject(m.headers, made.context(), current_baggage());
#endif
}

}  // namespace detail

/// Writes messages into a table of the business's own database, in the transaction that makes them true: they are sent
/// if it is committed, and never if it is not. An outbox_relay sends them. Thread-safe.
///
/// \code
/// const otlpkit::messaging::outbox outbox;
/// auto tx = db.transaction();
/// db.execute("UPDATE orders SET state = 'paid' WHERE id = $1", id);
/// outbox.write(db, {.destination = "orders", .key = id, .body = "{...}"});
/// tx.commit();
/// \endcode
class outbox {
 public:
  /// Throws config_error for a table that has no possible name.
  explicit outbox(outbox_options options = {})
      : now_{options.now != nullptr ? options.now : detail::system_unix_ms}, system_{std::move(options.system)},
        insert_{
            "INSERT INTO " + detail::checked_table(options.table) +
            " (destination, message_key, body, headers, created_at, available_at) VALUES ($1, $2, $3, $4, $5, $5)"} {}

  /// Writes a message, which carries the context of a PRODUCER span `create DESTINATION` of the current trace. Call it
  /// within the transaction, on its connection. Over a connection that is awaited this is awaited, too.
  template <db::connection Connection>
  decltype(auto) write(db::traced_db<Connection>& db, outbox_message m) const {
    detail::create_context(m, system_);
    const std::string headers = detail::encode_headers(m.headers);
    if (m.key.size() > longest_key) m.key = detail::stored_hash(m.key);
    return db.execute(insert_, m.destination, detail::bytes_of(m.key), detail::bytes_of(m.body),
                      detail::bytes_of(headers), now_());
  }

 private:
  static constexpr std::size_t longest_key = 256;  // an index takes no rows of any size; for the order a hash will do

  detail::unix_clock now_;
  std::string system_;
  std::string insert_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
