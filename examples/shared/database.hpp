// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database_connection.hpp"

#include <otlpkit/db/pool.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <cstddef>
#include <string>

namespace shop {

/// A connection that traces its statements, to SQLite or PostgreSQL. One thread at a time.
using store = otlpkit::db::traced_db<database_connection>;

/// Connections for many threads: `auto db = pool.acquire(); db->execute(...)`.
using store_pool = otlpkit::db::pool<store>;

/// The shop's database with schema and goods in it, gone when the program ends: an SQLite file, or with
/// DATABASE_URL=postgres://user@host/database a schema of its own on that server. The SQL is the same for both.
class database {
 public:
  /// Throws std::runtime_error for a DATABASE_URL that says something else, otlpkit::db::error if there is no server.
  database();
  ~database();
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  /// A connection of your own; each thread needs one.
  [[nodiscard]] store connect() const { return store{open()}; }
  /// Connections to share, made when they are needed. It must not outlive the database.
  [[nodiscard]] store_pool pool(std::size_t max_size = 8) const {
    return store_pool{[this] { return connect(); }, {.name = "shop", .max_size = max_size}};
  }

 private:
  [[nodiscard]] database_connection open() const;

  std::string url_;    // of the server; empty for SQLite
  std::string place_;  // the file, or the schema
};

/// What a SELECT ends with that locks its rows until the transaction is over. SQLite knows nothing of the kind: there a
/// transaction that may write is alone from its beginning.
[[nodiscard]] inline std::string for_update(store& db) {
  return db.info().system_name == "postgresql" ? " FOR UPDATE" : "";
}

/// Brings the shop's schema up to date.
void migrate(database_connection& connection);

}  // namespace shop
