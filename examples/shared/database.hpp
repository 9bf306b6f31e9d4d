// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <string>

namespace shop {

/// A connection that traces its statements. One thread at a time.
using store = otlpkit::db::traced_db<otlpkit::sqlite::connection>;

/// The shop's database: an SQLite file of its own with schema and goods in it, gone when the program ends.
class database {
 public:
  database();
  ~database();
  database(const database&) = delete;
  database& operator=(const database&) = delete;

  /// A connection of your own; each thread needs one.
  [[nodiscard]] store connect() const;

 private:
  std::string path_;
};

/// Brings the schema up to date: each numbered migration once, in a transaction of its own.
void migrate(otlpkit::sqlite::connection& connection);

}  // namespace shop
