// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <cstdint>
#include <utility>

inline otlpkit::db::traced_db<otlpkit::sqlite::connection> with_items() {
  otlpkit::sqlite::connection c{":memory:", {.name_space = "shop"}};
  c.run_script(
      "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL); INSERT INTO items VALUES (1, 'cup'), (2, "
      "'pot')");
  return otlpkit::db::traced_db{std::move(c)};
}

inline std::int64_t items_in(otlpkit::db::traced_db<otlpkit::sqlite::connection>& db) {
  return db.wrapped().query("SELECT count(*) FROM items", {}).at(0, 0).integer;
}
