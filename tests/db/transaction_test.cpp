// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
// emits: telemetry
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include "db/items.hpp"
#include "db/recording.hpp"
#include "db/remote.hpp"

#include <cstdint>
#include <stdexcept>
#include <string_view>

using otlpkit::db::connection_info;
using otlpkit::db::parameters;
using otlpkit::db::result;
using otlpkit::db::traced_db;
using otlpkit::testing::only;

TEST_CASE("a transaction lasts when it is committed") {
  recording out;
  auto db = with_items();
  {
    auto tx = db.transaction();
    db.execute("DELETE FROM items WHERE id = $1", 1);
    tx.commit();
    CHECK_FALSE(tx.open());
  }
  CHECK(items_in(db) == 1);
  CHECK(otlpkit::testing::snapshot(out.take(), otlpkit::testing::without_fields()) ==
        "BEGIN\n\nDELETE items\n\nCOMMIT\n");
}

TEST_CASE("a transaction that is not committed leaves nothing behind, also when an exception ends it") {
  recording out;
  auto db = with_items();
  {
    auto tx = db.transaction();
    db.execute("DELETE FROM items WHERE id = $1", 1);
  }
  CHECK(items_in(db) == 2);
  try {
    auto tx = db.transaction();
    db.execute("DELETE FROM items WHERE id = $1", 1);
    throw std::runtime_error{"changed my mind"};
  } catch (const std::runtime_error&) {
  }
  CHECK(items_in(db) == 2);
  CHECK(otlpkit::testing::named(out.take(), "ROLLBACK").size() == 2);
}

TEST_CASE("a commit that fails is rolled back") {
  auto db = with_items();
  db.wrapped().run_script("CREATE TABLE c (item REFERENCES items DEFERRABLE INITIALLY DEFERRED)");
  try {
    auto tx = db.transaction();
    db.execute("INSERT INTO c VALUES (99)");
    tx.commit();
    FAIL("the constraint does not hold");
  } catch (const otlpkit::sqlite::error& e) {
    CHECK(e.code() == SQLITE_CONSTRAINT);
  }
  CHECK(db.wrapped().query("SELECT * FROM c", {}).empty());
  CHECK_NOTHROW(static_cast<void>(db.transaction()));
}

TEST_CASE("a connection that is lost is not asked to roll back: one failure is one error") {
  struct fragile {
    connection_info about{.system_name = "postgresql", .name_space = "shop"};
    bool gone = false;
    [[nodiscard]] const connection_info& info() const { return about; }
    [[nodiscard]] bool broken() const noexcept { return gone; }
    result query(std::string_view, parameters) { return result{}; }
    std::int64_t execute(std::string_view sql, parameters) {
      if (sql.starts_with("UPDATE")) gone = true;
      if (gone) throw otlpkit::db::error{"08006", "server closed the connection unexpectedly"};
      return 0;
    }
  };
  recording out;
  traced_db db{fragile{}};
  try {
    auto tx = db.transaction();
    auto part = tx.savepoint();
    db.execute("UPDATE items SET name = $1", "jug");
    FAIL("it is not lost");
  } catch (const otlpkit::db::error& e) {
    CHECK(is_connection_failure(e));
  }
  CHECK(db.broken());
  const auto spans = out.take();
  CHECK(spans.size() == 3);
  CHECK(only(spans, "UPDATE items").is_error());
  CHECK_FALSE(only(spans, "BEGIN").is_error());
}

TEST_CASE("a part of a transaction can be undone by itself, by name or by leaving its scope") {
  recording out;
  auto db = with_items();
  {
    auto tx = db.transaction();
    db.execute("DELETE FROM items WHERE id = $1", 1);
    {
      auto part = tx.savepoint();
      db.execute("DELETE FROM items WHERE id = $1", 2);
    }
    auto kept = tx.savepoint();
    db.execute("INSERT INTO items VALUES ($1, $2)", 3, "mug");
    kept.release();
    tx.commit();
  }
  CHECK(db.wrapped().query("SELECT id FROM items ORDER BY id", {}).size() == 2);
  CHECK(otlpkit::testing::snapshot(out.take(), otlpkit::testing::without_fields()) ==
        "BEGIN\n\nDELETE items\n\nSAVEPOINT\n\nDELETE items\n\nROLLBACK\n\nRELEASE\n\nSAVEPOINT\n\n"
        "INSERT items\n\nRELEASE\n\nCOMMIT\n");
  auto tx = db.transaction();
  auto outer = tx.savepoint();
  db.execute("DELETE FROM items WHERE id = $1", 3);
  const auto inner = tx.savepoint();
  outer.rollback();  // and not only what came after the inner one
  CHECK(items_in(db) == 2);
}

TEST_CASE("a roll-back is asked for once, whether the database does it or not") {
  recording out;
  auto db = with_items();
  {
    auto tx = db.transaction();
    tx.savepoint().rollback();
    tx.rollback();
    CHECK_FALSE(tx.open());
  }
  CHECK(otlpkit::testing::named(out.take(), "ROLLBACK").size() == 2);
  struct unable : remote {
    std::int64_t execute(std::string_view sql, parameters) {
      if (sql.starts_with("ROLLBACK")) throw otlpkit::db::error{"XX000", "cannot"};
      return 0;
    }
  };
  traced_db other{unable{}};
  {
    auto tx = other.transaction();
    auto part = tx.savepoint();
    CHECK_THROWS_AS(part.rollback(), otlpkit::db::error);
    CHECK_THROWS_AS(tx.rollback(), otlpkit::db::error);
  }
  CHECK(otlpkit::testing::named(out.take(), "ROLLBACK").size() == 2);
}

TEST_CASE("work in a transaction is committed when it returns and rolled back when it throws") {
  auto db = with_items();
  CHECK(otlpkit::db::in_transaction(db, [](auto& own) { return own.execute("DELETE FROM items WHERE id = 1"); }) == 1);
  CHECK(items_in(db) == 1);
  CHECK_THROWS_AS(otlpkit::db::in_transaction(db,
                                              [](auto& own) {
                                                own.execute("DELETE FROM items");
                                                throw std::runtime_error{"changed my mind"};
                                              }),
                  std::runtime_error);
  CHECK(items_in(db) == 1);
}

TEST_CASE("how a transaction begins says how strictly it is kept apart") {
  using otlpkit::db::begin_statement;
  using otlpkit::db::isolation;
  const connection_info postgres{.system_name = "postgresql"};
  const connection_info sqlite{.system_name = "sqlite", .begin = "BEGIN IMMEDIATE"};
  CHECK(begin_statement(postgres, {}) == "BEGIN");
  CHECK(begin_statement(postgres, {.isolation = isolation::read_committed}) == "BEGIN ISOLATION LEVEL READ COMMITTED");
  CHECK(begin_statement(postgres, {.isolation = isolation::repeatable_read}) ==
        "BEGIN ISOLATION LEVEL REPEATABLE READ");
  CHECK(begin_statement(postgres, {.isolation = isolation::serializable, .read_only = true}) ==
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY");
  CHECK(begin_statement(sqlite, {.isolation = isolation::serializable}) == "BEGIN IMMEDIATE");
  CHECK(begin_statement(sqlite, {.read_only = true}) == "BEGIN");
}
