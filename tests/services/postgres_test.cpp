// SPDX-License-Identifier: MIT
// links: PostgreSQL::PostgreSQL
// emits: telemetry
#include <otlpkit/adapters/postgres.hpp>
#include <otlpkit/db/pool.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include "db/recording.hpp"
#include "support/server_process.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::byte_view;
using otlpkit::db::isolation;
using otlpkit::db::parameter;
using otlpkit::db::row;
using otlpkit::db::traced_db;
using otlpkit::postgres::connection;

namespace {

support::postgres_server& server() {
  static support::postgres_server one;
  one.start();  // whatever a case did to it
  return one;
}

using store = traced_db<connection>;
store connect(const otlpkit::postgres::options& o = {}) { return store{connection{server().url(), o}}; }

/// The SQLSTATE that `call` fails with.
std::string failure(auto&& call) {
  try {
    call();
  } catch (const otlpkit::postgres::error& e) {
    return std::string{e.sqlstate()};
  }
  return "none";
}

struct good {
  std::string id;
  std::optional<std::int64_t> stock;
  bool sold;
  double weight;
};

}  // namespace

TEST_CASE("values come back as they went in") {
  auto db = connect();
  const std::string zeros{"a\0b\\", 4};
  const auto rows = db.query(
      "SELECT $1::bigint, $2::float8, $3::text, $4::text, $5::bytea, $6::text, $7::int, $8::bool, $9::bytea, "
      "$10::numeric, $11::numeric, $12::float8",
      std::numeric_limits<std::int64_t>::min(), 0.1, "gr\u00fc\u00dfe 'q' \\ $1", nullptr,
      byte_view{zeros.data(), zeros.size()}, "", std::optional<int>{7}, true, byte_view{}, 12345, "12.50", INFINITY);
  const row r{rows, 0};
  CHECK(r.get<std::int64_t>(0) == std::numeric_limits<std::int64_t>::min());
  CHECK(r.get<double>(1) == 0.1);
  CHECK(r.get<std::string>(2) == "gr\u00fc\u00dfe 'q' \\ $1");
  CHECK_FALSE(r.get<std::optional<std::string>>(3).has_value());
  CHECK(r.get<std::string>(4) == zeros);
  CHECK(r.get<std::string>(5).empty());
  CHECK(r.get<int>(6) == 7);
  CHECK(r.get<bool>(7));
  CHECK(r.get<std::string>(8).empty());
  CHECK(r.get<std::int64_t>(9) == 12345);
  CHECK(r.get<std::string>(10) == "12.50");
  CHECK(std::isinf(r.get<double>(11)));
}

TEST_CASE("a row becomes a struct, execute counts rows, a script runs as a whole") {
  auto db = connect();
  db.wrapped().run_script(
      "CREATE TABLE goods (id TEXT PRIMARY KEY, stock BIGINT, sold BOOLEAN NOT NULL, weight FLOAT8 NOT NULL); "
      "INSERT INTO goods VALUES ('p', 3, true, 0.5), ('q', NULL, false, 2)");
  const auto p = db.query_one<good>("SELECT id, stock, sold, weight FROM goods WHERE id = $1", "p");
  CHECK(p.stock == 3);
  CHECK(p.sold);
  CHECK(p.weight == 0.5);
  CHECK_FALSE(db.query_one<good>("SELECT id, stock, sold, weight FROM goods WHERE id = $1", "q").stock.has_value());
  CHECK(db.execute("UPDATE goods SET stock = $1 WHERE sold = $2", 4, true) == 1);
  CHECK(db.execute("CREATE TABLE other (a INT)") == 0);
  CHECK(db.execute("SELECT 1") == 0);
  CHECK(db.query<std::string>("DELETE FROM goods RETURNING id").size() == 2);
  std::vector<parameter> values;
  for (int i = 0; i < 20'000; ++i) values.emplace_back(i);
  CHECK(db.insert_rows("INSERT INTO other (a) VALUES", 1, values) == 20'000);
  CHECK(db.query_one<int>("SELECT sum(a) FROM other") == 199'990'000);
  CHECK(failure([&] { db.wrapped().run_script("INSERT INTO other VALUES (1); SELECT nonsense"); }) == "42703");
  CHECK(db.query_one<int>("SELECT count(*) FROM other") == 20'000);
}

TEST_CASE("the page's example: a transaction on a connection of a pool") {
  recording out;
  const std::string url = server().url();
  otlpkit::db::pool pool{[url] { return otlpkit::db::traced_db{otlpkit::postgres::connection{url}}; },
                         {.name = "shop", .max_size = 4}};
  auto db = pool.acquire();
  db->execute("CREATE TEMP TABLE stock (product TEXT PRIMARY KEY, left_over BIGINT NOT NULL)");
  db->execute("INSERT INTO stock VALUES ($1, $2)", "p-1001", 40);
  auto tx = db->transaction();
  const auto left = db->query_one<std::int64_t>("SELECT left_over FROM stock WHERE product = $1 FOR UPDATE", "p-1001");
  db->execute("UPDATE stock SET left_over = $1 WHERE product = $2", left - 1, "p-1001");
  tx.commit();
  CHECK(left == 40);
  const auto spans = out.take();
  CHECK(otlpkit::testing::snapshot(spans, otlpkit::testing::without_fields()) ==
        "CREATE TABLE stock\n\nINSERT stock\n\nBEGIN\n\nSELECT stock\n\nUPDATE stock\n\nCOMMIT\n");
  const auto update = otlpkit::testing::only(spans, "UPDATE stock");
  CHECK(update.kind == static_cast<unsigned>(otlpkit::span_kind::client));
  CHECK(update.attributes.at("db.system.name") == "postgresql");
  CHECK(update.attributes.at("db.namespace") == "postgres");
  CHECK(update.attributes.at("server.address") == "127.0.0.1");
  CHECK(update.attributes.at("server.port") == server().port());
  CHECK(update.attributes.at("network.peer.address") == "127.0.0.1");
  CHECK(update.attributes.at("db.query.text") == "UPDATE stock SET left_over = $1 WHERE product = $2");
  static_cast<void>(out.metric("db.client.connection.count"));
}

TEST_CASE("errors carry the SQLSTATE, leave the connection in use, and show no value of the statement") {
  recording out;
  auto db = connect();
  db.execute("CREATE TEMP TABLE t (id INT PRIMARY KEY)");
  db.execute("INSERT INTO t VALUES (1)");
  CHECK(failure([&] { db.execute("INSERT INTO t VALUES ($1)", 1); }) == "23505");
  CHECK(failure([&] { db.query("SELEC 1"); }) == "42601");
  CHECK(failure([&] { db.query("SELECT 1; SELECT 2"); }) == "42601");
  CHECK(failure([&] { db.query(""); }) == "42601");
  CHECK(failure([&] { db.query("SELECT a FROM nowhere"); }) == "42P01");
  CHECK(failure([&] { db.query("SELECT $1::text", std::string_view{"a\0b", 3}); }) == "22021");
  CHECK(failure([&] { db.query(std::string_view{"SELECT 1\0, 2", 12}); }) == "42601");
  static_cast<void>(out.take());
  CHECK(failure([&] { db.query("SELECT $1::int", "s3cret \"quoted\""); }) == "22P02");
  CHECK(failure([&] { db.query("SELECT 's3cret'::int"); }) == "22P02");
  CHECK(failure([&] { db.query("SELECT 1 's3cret'"); }) == "42601");
  for (const auto& span : out.take()) {
    CHECK(span.is_error());
    CHECK(span.attributes.at("db.response.status_code") == span.attributes.at("error.type"));
    REQUIRE(span.events.size() == 1);
    const std::string text{span.events[0].attributes.at("exception.message").as_string()};
    CHECK(text.find("s3cret") == std::string::npos);
    CHECK(span.status_message.find("s3cret") == std::string::npos);
  }
  CHECK(db.query_one<int>("SELECT 1") == 1);
  CHECK(failure([&] { db.execute("COPY t TO STDOUT"); }) == "0A000");
  CHECK(failure([&] { db.execute("SELECT 1"); }) == "08003");
}

TEST_CASE("two transactions that change the same row: one fails with 40001 and succeeds when it is run again") {
  auto a = connect(), b = connect();
  a.wrapped().run_script(
      "DROP TABLE IF EXISTS counters; CREATE TABLE counters (n BIGINT); INSERT INTO counters VALUES (0)");
  const auto add_one = [](store& db) {
    return otlpkit::db::in_transaction(db,
                                       [](store& own) {
                                         const auto n = own.query_one<std::int64_t>("SELECT n FROM counters");
                                         own.execute("UPDATE counters SET n = $1", n + 1);
                                       },
                                       {.isolation = isolation::serializable});
  };
  {
    auto tx = a.transaction({.isolation = isolation::serializable});
    static_cast<void>(a.query_one<std::int64_t>("SELECT n FROM counters"));
    add_one(b);
    try {
      a.execute("UPDATE counters SET n = n + 1");
      tx.commit();
      FAIL("both were committed");
    } catch (const otlpkit::postgres::error& e) {
      CHECK(e.sqlstate() == "40001");
      CHECK(otlpkit::db::is_serialization_failure(e));
    }
  }
  add_one(a);
  CHECK(a.query_one<std::int64_t>("SELECT n FROM counters") == 2);
}

TEST_CASE("a transaction that an error broke is rolled back, a part of it can be saved") {
  auto db = connect();
  db.execute("CREATE TEMP TABLE t (id INT PRIMARY KEY)");
  {
    auto tx = db.transaction();
    db.execute("INSERT INTO t VALUES (1)");
    CHECK(failure([&] { db.execute("INSERT INTO t VALUES (1)"); }) == "23505");
    CHECK(failure([&] { db.execute("INSERT INTO t VALUES (2)"); }) == "25P02");
  }
  CHECK(db.query_one<int>("SELECT count(*) FROM t") == 0);
  {
    auto swallowed = db.transaction();
    db.execute("INSERT INTO t VALUES (1)");
    CHECK(failure([&] { db.execute("INSERT INTO t VALUES (1)"); }) == "23505");
    CHECK(failure([&] { swallowed.commit(); }) == "25P02");
  }
  CHECK(db.usable());
  CHECK(db.query_one<int>("SELECT count(*) FROM t") == 0);
  auto tx = db.transaction();
  db.execute("INSERT INTO t VALUES (1)");
  {
    const auto part = tx.savepoint();
    CHECK(failure([&] { db.execute("INSERT INTO t VALUES (1)"); }) == "23505");
  }
  tx.commit();
  CHECK(db.query_one<int>("SELECT count(*) FROM t") == 1);
}

TEST_CASE("a statement that takes too long ends with 57014, and the connection goes on") {
  auto db = connect({.statement_timeout = 50ms});
  CHECK(failure([&] { db.query("SELECT pg_sleep(20)"); }) == "57014");
  CHECK(db.query_one<int>("SELECT 1") == 1);
}

TEST_CASE("a server that hangs is given up within the time, and the pool serves again when it is back") {
  const std::string url = server().url();
  otlpkit::db::pool pool{[url] {
                           return store{connection{url, {.connect_timeout = 100ms, .answer_timeout = 100ms}}};
                         },
                         {.max_size = 2}};
  CHECK(pool.acquire()->query_one<int>("SELECT 1") == 1);
  const auto begun = support::steady_clock::now();
  {
    const support::suspended hangs{server()};
    CHECK(failure([&] { pool.acquire()->query("SELECT 1"); }) == "08006");
    CHECK(failure([&] { static_cast<void>(pool.acquire()); }) == "08001");
  }
  CHECK(support::steady_clock::now() - begun < 5s);
  CHECK(pool.counts().used == 0);
  CHECK(pool.acquire()->query_one<int>("SELECT 1") == 1);
}

TEST_CASE("when the server dies in mid-use the statement fails, and after its restart the pool recovers") {
  recording out;
  const std::string url = server().url();
  otlpkit::db::pool pool{[url] { return store{connection{url}}; }, {.max_size = 3}};
  { const auto a = pool.acquire(), b = pool.acquire(); }
  CHECK(pool.counts().idle == 2);
  {
    auto db = pool.acquire();
    auto tx = db->transaction();
    std::thread killer{[] {
      store watch = connect();
      while (watch.query_one<int>("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == 0)
        std::this_thread::yield();
      server().kill();
    }};
    CHECK(failure([&] { db->query("SELECT pg_sleep($1)", 20); }) == "08006");
    killer.join();
    CHECK_THROWS_AS(tx.commit(), otlpkit::postgres::error);
  }
  const auto failed = otlpkit::testing::named(out.take(), "SELECT");
  REQUIRE_FALSE(failed.empty());
  CHECK(failed.back().is_error());
  CHECK(failure([&] { static_cast<void>(pool.acquire()); }) == "08001");  // the idle ones are seen to be dead
  CHECK(pool.counts().idle == 0);
  static_cast<void>(server());
  CHECK(pool.acquire()->query_one<int>("SELECT 1") == 1);
}

TEST_CASE("a connection given back in the middle of a transaction is not used again") {
  const std::string url = server().url();
  otlpkit::db::pool pool{[url] { return store{connection{url}}; }, {.max_size = 1}};
  pool.acquire()->execute("BEGIN");
  CHECK(pool.counts().idle == 0);
  const auto db = pool.acquire();
  CHECK(db->usable());
}

TEST_CASE("a session that the server ends says why, and not only that it is over") {
  const std::string end = "SELECT pg_terminate_backend(pg_backend_pid())";
  auto one = connect(), other = connect();
  CHECK(failure([&] { one.query(end); }) == "57P01");
  CHECK(failure([&] { other.wrapped().run_script("SELECT 1; " + end + "; SELECT 2"); }) == "57P01");
  CHECK(one.broken());
  CHECK(other.broken());
}

TEST_CASE("a connection that takes no statement is closed: nobody knows whose answers would come") {
  auto db = connect();
  REQUIRE(::PQsendQuery(db.wrapped().native(), "SELECT 1") == 1);
  CHECK(failure([&] { db.query("SELECT 2"); }) == "08006");
  CHECK(db.broken());
  CHECK(failure([&] { db.query("SELECT 2"); }) == "08003");
}

TEST_CASE("parts of a transaction that are undone keep no locks, of which a server has some thousand") {
  auto db = connect();
  db.execute("CREATE TEMP TABLE t (id INT PRIMARY KEY)");
  auto tx = db.transaction();
  for (int i = 0; i < 20; ++i) {
    const auto part = tx.savepoint();
    db.execute("INSERT INTO t VALUES (1)");
  }
  CHECK(db.query_one<int>(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND pid = pg_backend_pid()") == 1);
  db.execute("INSERT INTO t VALUES (1)");
  tx.commit();
}

TEST_CASE("no connection where none can be had: the reason is in the error") {
  const std::string nowhere = "postgres://app@127.0.0.1:" + std::to_string(support::server_detail::free_port()) + "/x";
  CHECK(failure([&] { connection{nowhere}; }) == "08001");
  CHECK(failure([] { connection{server().url("no_such_database")}; }) == "08001");
  CHECK(failure([] { connection{"postgres://%zz"}; }) == "08001");
}

TEST_CASE("a URL that cannot be used is refused without being quoted: it may have a password in it") {
  for (const char* url :
       {"postgres://app:se%cret@h/db", "postgre://app:secret@h/db?x=1", "postgre://app:secret@h/db"}) {
    std::string why;
    try {
      const connection unused{url};
    } catch (const otlpkit::postgres::error& e) {
      CHECK(e.sqlstate() == "08001");
      why = e.what();
    }
    CHECK(why.find("expected postgres://") != std::string::npos);
    CHECK(why.find("cret") == std::string::npos);
  }
}
