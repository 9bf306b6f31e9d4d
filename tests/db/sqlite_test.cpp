// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/read_row.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using otlpkit::byte_view;
using otlpkit::db::mapping_error;
using otlpkit::db::parameter;
using otlpkit::db::read_row;
using otlpkit::db::row;
using otlpkit::sqlite::connection;

namespace {

template <class... T>
otlpkit::db::result query(connection& c, std::string_view sql, const T&... values) {
  const std::vector<parameter> all{parameter{values}...};
  return c.query(sql, all);
}
template <class... T>
std::int64_t execute(connection& c, std::string_view sql, const T&... values) {
  const std::vector<parameter> all{parameter{values}...};
  return c.execute(sql, all);
}

int failure(auto&& call) {
  try {
    call();
  } catch (const otlpkit::sqlite::error& e) {
    CHECK(e.status_code() == std::to_string(e.extended_code()));
    return e.extended_code();
  }
  return 0;
}

struct price {
  std::int64_t minor;
  std::string currency;
};
struct good {
  std::string id;
  price cost;
  std::optional<int> stock;
  bool sold;
  double weight;
};

}  // namespace

TEST_CASE("values come back as they went in") {
  connection c{":memory:"};
  const std::string zeros{"a\0b", 3};
  const auto rows =
      query(c, "SELECT $1, $2, $3, $4, $5, $6, $7", std::numeric_limits<std::int64_t>::min(), 0.1, "gr\u00fc\u00dfe",
            nullptr, byte_view{zeros.data(), zeros.size()}, "", std::optional<std::int64_t>{7});
  const row r{rows, 0};
  CHECK(r.get<std::int64_t>(0) == std::numeric_limits<std::int64_t>::min());
  CHECK(r.get<double>(1) == 0.1);
  CHECK(r.get<std::string>(2) == "gr\u00fc\u00dfe");
  CHECK_FALSE(r.get<std::optional<std::string>>(3).has_value());
  CHECK(r.get<std::string>(4) == zeros);
  CHECK(r.get<std::string>(5).empty());
  CHECK(r.get<std::optional<int>>(6) == 7);
}

TEST_CASE("$N means the Nth value, in whatever order and however often it stands there") {
  connection c{":memory:"};
  const auto rows = query(c, "SELECT $2, $1, $2", "one", "two");
  CHECK(rows.at(0, 0).text == "two");
  CHECK(rows.at(0, 1).text == "one");
  CHECK(rows.at(0, 2).text == "two");
  CHECK(failure([&] { query(c, "SELECT $1, $2", 1); }) == SQLITE_RANGE);
  CHECK(failure([&] { query(c, "SELECT $3", 1); }) == SQLITE_RANGE);
  CHECK(failure([&] { query(c, "SELECT $name", 1); }) == SQLITE_RANGE);
  CHECK(failure([&] { query(c, "SELECT $0", 1); }) == SQLITE_RANGE);
  CHECK(query(c, "SELECT $3, '$1', $1 /* $9 */, $2, $4, $2", "a", "b", "c", "d").at(0, 4).text == "d");
  CHECK(query(c, "SELECT :own, $2", "one", "two").at(0, 1).text == "two");
  CHECK(query(c, "SELECT ?, $1", "one").at(0, 1).text == "one");
}

TEST_CASE("values in the order of their numbers have no names SQLite would have to look for, one by one") {
  connection c{":memory:"};
  query(c, "SELECT $1, $2, $3, $12, $13", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
  sqlite3_stmt* const s = ::sqlite3_next_stmt(c.handle(), nullptr);
  REQUIRE(s != nullptr);
  for (const int at : {1, 2, 3, 13}) CHECK(::sqlite3_bind_parameter_name(s, at) == nullptr);
  CHECK(std::string{::sqlite3_bind_parameter_name(s, 12)} == "?12");
}

TEST_CASE("a row becomes a struct, nested ones take as many columns as they have members") {
  connection c{":memory:"};
  const auto rows = query(c, "SELECT 'p', 1290, 'EUR', NULL, 1, 2 UNION ALL SELECT 'q', 5, 'USD', 7, 0, 0.5");
  const auto p = read_row<good>(row{rows, 0});
  CHECK(p.cost.minor == 1290);
  CHECK(p.cost.currency == "EUR");
  CHECK_FALSE(p.stock.has_value());
  CHECK(p.sold);
  CHECK(read_row<good>(row{rows, 1}).stock == 7);
}

TEST_CASE("a row that does not fit says which column, what it holds and what was expected") {
  connection c{":memory:"};
  const auto read = [&]<class T>(std::string_view sql, T) {
    const auto rows = query(c, sql);
    return read_row<T>(row{rows, 0});
  };
  CHECK_THROWS_WITH_AS(static_cast<void>(read("SELECT NULL AS a", std::string{})), "column a: got NULL, expected text",
                       mapping_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(read("SELECT 300 AS a", std::int8_t{})),
                       "column a: got the integer 300, expected an integer of 1 bytes", mapping_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(read("SELECT 2 AS a", bool{})),
                       "column a: got the integer 2, expected a boolean", mapping_error);
  CHECK_THROWS_WITH_AS(static_cast<void>(read("SELECT 1, 'EUR', 3", price{})),
                       "the query returns 3 columns, expected 2", mapping_error);
  CHECK_THROWS_AS(static_cast<void>(read("SELECT 1", price{})), mapping_error);
}

TEST_CASE("execute says how many rows it changed, not what triggers changed") {
  connection c{":memory:"};
  c.run_script(
      "CREATE TABLE t (a); CREATE TABLE log (a); CREATE TRIGGER l AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1), "
      "(2); END");
  CHECK(execute(c, "INSERT INTO t VALUES (1), (2), (3)") == 3);
  CHECK(execute(c, "UPDATE t SET a = 0 WHERE a > $1", 1) == 2);
  CHECK(execute(c, "CREATE TABLE u (a)") == 0);
  CHECK(execute(c, "DELETE FROM t WHERE a = 99") == 0);
}

TEST_CASE("errors carry SQLite's extended code") {
  connection c{":memory:"};
  c.run_script("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, parent REFERENCES t)");
  execute(c, "INSERT INTO t VALUES (1, 'a', NULL)");
  CHECK(failure([&] { execute(c, "INSERT INTO t VALUES (2, 'a', NULL)"); }) == SQLITE_CONSTRAINT_UNIQUE);
  CHECK(failure([&] { execute(c, "INSERT INTO t VALUES (1, 'b', NULL)"); }) == SQLITE_CONSTRAINT_PRIMARYKEY);
  CHECK(failure([&] { execute(c, "INSERT INTO t VALUES (3, 'c', 99)"); }) == SQLITE_CONSTRAINT_FOREIGNKEY);
  CHECK(failure([&] { query(c, "SELEC 1"); }) == SQLITE_ERROR);
  CHECK(failure([&] { query(c, "  -- nothing"); }) == SQLITE_MISUSE);
  CHECK(failure([&] { query(c, "SELECT 1; SELECT 2"); }) == SQLITE_MISUSE);
  CHECK(failure([&] { query(c, std::string_view{"SELECT 1\0 WHERE 0", 17}); }) == SQLITE_MISUSE);
  CHECK(failure([] { connection{"/nowhere/at/all.db"}; }) == SQLITE_CANTOPEN);
  CHECK(query(c, "SELECT 1; ").size() == 1);
}

TEST_CASE("a statement that failed can be used again, and a small cache of statements forgets the oldest") {
  connection c{":memory:", {.cached_statements = 1}};
  c.run_script("CREATE TABLE t (a UNIQUE)");
  for (int round = 0; round < 3; ++round) {
    CHECK(failure([&] {
            execute(c, "INSERT INTO t VALUES ($1)", round);
            execute(c, "INSERT INTO t VALUES ($1)", round);
          }) == SQLITE_CONSTRAINT_UNIQUE);
    CHECK(query(c, "SELECT a FROM t").size() == static_cast<std::size_t>(round) + 1);
  }
}

TEST_CASE("a connection can be moved, with its statements") {
  connection first{":memory:"};
  first.run_script("CREATE TABLE t (a)");
  execute(first, "INSERT INTO t VALUES ($1)", 1);
  connection second{std::move(first)};
  execute(second, "INSERT INTO t VALUES ($1)", 2);
  CHECK(query(second, "SELECT a FROM t").size() == 2);
}

TEST_CASE("no bytes are not NULL") {
  connection c{":memory:"};
  CHECK(query(c, "SELECT typeof($1)", byte_view{}).at(0, 0).text == "blob");
}

TEST_CASE("a connection keeps no more statements than it was told, and is of no use in the middle of a transaction") {
  connection c{":memory:", {.busy_timeout_ms = 7, .cached_statements = 2}};
  for (const char* sql : {"SELECT 1", "SELECT 2", "SELECT 3", "SELECT 4"}) query(c, sql);
  int kept = 0;
  for (auto* s = ::sqlite3_next_stmt(c.handle(), nullptr); s != nullptr; s = ::sqlite3_next_stmt(c.handle(), s)) ++kept;
  CHECK(kept == 2);
  CHECK(query(c, "PRAGMA busy_timeout").at(0, 0).integer == 7);
  CHECK(c.usable());
  execute(c, c.info().begin);
  CHECK_FALSE(c.usable());
  execute(c, "ROLLBACK");
  CHECK(c.usable());
}

TEST_CASE("a statement that another thread interrupts ends as such, and the connection goes on") {
  connection c{":memory:"};
  std::atomic<bool> ended = false;
  std::thread other{[&] {
    while (!ended) c.interrupt();  // before the statement has begun it does nothing
  }};
  const int code =
      failure([&] { query(c, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n"); });
  ended = true;
  other.join();
  CHECK(code == SQLITE_INTERRUPT);
  CHECK(query(c, "SELECT 1").size() == 1);
}

TEST_CASE("a transaction takes the write lock at its beginning, where it can wait for it") {
  const std::string file = OTLPKIT_TEST_BINARY_DIR "/begin.db";
  connection a{file, {.busy_timeout_ms = 0}}, b{file, {.busy_timeout_ms = 0}};
  execute(a, a.info().begin);
  CHECK((failure([&] { execute(b, b.info().begin); }) & 0xFF) == SQLITE_BUSY);
  execute(a, "ROLLBACK");
  execute(b, b.info().begin);
}
