// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <support/telemetry_recording.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

using otlpkit::db::connection_info;
using otlpkit::db::parameter;
using otlpkit::db::parameters;
using otlpkit::db::result;
using otlpkit::db::row_count_error;
using otlpkit::db::traced_db;
using otlpkit::testing::only;

namespace {

struct item {
  std::int64_t id;
  std::string name;
};

traced_db<otlpkit::sqlite::connection> with_items() {
  otlpkit::sqlite::connection c{":memory:", {.name_space = "shop"}};
  c.run_script(
      "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL); INSERT INTO items VALUES (1, 'cup'), (2, "
      "'pot')");
  return traced_db{std::move(c)};
}

std::int64_t items_in(traced_db<otlpkit::sqlite::connection>& db) {
  return db.wrapped().query("SELECT count(*) FROM items", {}).at(0, 0).integer;
}

/// A server somewhere, which answers what it is told.
struct remote {
  connection_info about{
      .system_name = "postgresql", .name_space = "shop|public", .server_address = "db.example", .server_port = 5433};
  bool broken = false;
  [[nodiscard]] const connection_info& info() const { return about; }
  result query(std::string_view, parameters) {
    if (broken) throw otlpkit::db::error{"57P01", "terminating connection"};
    return result{{"a"}};
  }
  std::int64_t execute(std::string_view, parameters) {
    if (broken) throw std::runtime_error{"connection reset"};
    return 1;
  }
};

}  // namespace

TEST_CASE("a query is a span named by its summary, and its rows come as structs") {
  recording out;
  auto db = with_items();
  CHECK(db.query_one<item>("SELECT id, name FROM items WHERE id = $1", 2).name == "pot");
  CHECK(db.query<item>("SELECT id, name FROM items ORDER BY id").size() == 2);
  CHECK(db.query_one<std::string>("SELECT name FROM items WHERE id = $1", 1) == "cup");
  CHECK(out.diff(R"(
    SELECT items [db.system.name=sqlite db.query.summary="SELECT items" db.query.text="SELECT id, name FROM items WHERE id = $1" db.namespace=shop db.response.returned_rows=1]

    SELECT items [db.system.name=sqlite db.query.summary="SELECT items" db.query.text="SELECT id, name FROM items ORDER BY id" db.namespace=shop db.response.returned_rows=2]

    SELECT items [db.system.name=sqlite db.query.summary="SELECT items" db.query.text="SELECT name FROM items WHERE id = $1" db.namespace=shop db.response.returned_rows=1]
  )") == "");
}

TEST_CASE("values of a statement without parameters are not recorded") {
  recording out;
  auto db = with_items();
  CHECK(db.execute("UPDATE items SET name = 'secret' WHERE id = 1") == 1);
  CHECK(only(out.take(), "UPDATE items").attributes.at("db.query.text") == "UPDATE items SET name = ? WHERE id = ?");
}

TEST_CASE("a list of values may be made at run time") {
  auto db = with_items();
  const std::vector<parameter> ids{1, 2, 3};
  CHECK(db.query<item>("SELECT id, name FROM items WHERE id IN (" + otlpkit::db::placeholders(3) + ")", ids).size() ==
        2);
  CHECK(otlpkit::db::placeholders(2, 4) == "$4, $5");
  CHECK(otlpkit::db::placeholders(0).empty());
}

TEST_CASE("a failed statement is an error with the database's code, and the exception goes on") {
  recording out;
  auto db = with_items();
  CHECK_THROWS_AS(db.execute("INSERT INTO items VALUES ($1, $2)", 1, "again"), otlpkit::sqlite::error);
  const auto span = only(out.take(), "INSERT items");
  CHECK(span.is_error());
  CHECK(span.attributes.at("db.response.status_code") == "1555");
  CHECK(span.attributes.at("error.type") == "1555");
}

TEST_CASE("no row where there must be one, or several, is said by an exception and is no error of the database") {
  recording out;
  auto db = with_items();
  CHECK_THROWS_AS(static_cast<void>(db.query_one<item>("SELECT id, name FROM items WHERE id = $1", 99)),
                  row_count_error);
  CHECK_THROWS_AS(static_cast<void>(db.query_one<item>("SELECT id, name FROM items")), row_count_error);
  CHECK_FALSE(db.query_optional<item>("SELECT id, name FROM items WHERE id = $1", 99).has_value());
  for (const auto& span : out.take()) CHECK_FALSE(span.is_error());
}

TEST_CASE("rows may be read by a function") {
  auto db = with_items();
  const auto names = db.query_with([](const otlpkit::db::row& r) { return r.get<std::string>(0) + "!"; },
                                   "SELECT name FROM items ORDER BY id");
  CHECK(names == std::vector<std::string>{"cup!", "pot!"});
}

TEST_CASE("an embedded database is INTERNAL, a server CLIENT with its address") {
  recording out;
  auto embedded = with_items();
  static_cast<void>(embedded.query("SELECT 1"));
  CHECK(only(out.take(), "SELECT").kind == static_cast<unsigned>(otlpkit::span_kind::internal));
  traced_db db{remote{}};
  static_cast<void>(db.query("SELECT a FROM t WHERE b = $1", 1));
  const auto span = only(out.take(), "SELECT t");
  CHECK(span.kind == static_cast<unsigned>(otlpkit::span_kind::client));
  CHECK(span.attributes.at("server.address") == "db.example");
  CHECK(span.attributes.at("server.port") == 5433);
  CHECK(span.attributes.at("db.namespace") == "shop|public");
}

TEST_CASE("an error without a code of the database is named by its type") {
  recording out;
  remote server;
  server.broken = true;
  traced_db db{server};
  CHECK_THROWS_AS(db.execute("DELETE FROM t"), std::runtime_error);
  const auto span = only(out.take(), "DELETE t");
  CHECK(span.attributes.at("error.type") == "std::runtime_error");
  CHECK_THROWS_AS(static_cast<void>(db.query("SELECT a FROM t")), otlpkit::db::error);
  CHECK(only(out.take(), "SELECT t").attributes.at("error.type") == "57P01");
}

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
