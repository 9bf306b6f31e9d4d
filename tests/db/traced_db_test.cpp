// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
// emits: telemetry
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include "db/items.hpp"
#include "db/recording.hpp"
#include "db/remote.hpp"

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using otlpkit::db::parameter;
using otlpkit::db::parameters;
using otlpkit::db::row_count_error;
using otlpkit::db::traced_db;
using otlpkit::testing::only;

namespace {

struct item {
  std::int64_t id;
  std::string name;
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
  CHECK(span.status_message == "UNIQUE constraint failed: items.id");
}

TEST_CASE("no row where there must be one, or several, is said by an exception and is no error of the database") {
  recording out;
  auto db = with_items();
  CHECK_THROWS_AS(static_cast<void>(db.query_one<item>("SELECT id, name FROM items WHERE id = $1", 99)),
                  row_count_error);
  CHECK_THROWS_AS(static_cast<void>(db.query_one<item>("SELECT id, name FROM items")), row_count_error);
  CHECK_FALSE(db.query_optional<item>("SELECT id, name FROM items WHERE id = $1", 99).has_value());
  for (const auto& span : out.take()) CHECK_FALSE(span.is_error());
  for (const char* sql :
       {"SELECT id, name FROM items WHERE name = \"s3cret\"", "SELECT id, name FROM items WHERE name <> 's3cret'"}) {
    try {
      static_cast<void>(db.query_one<item>(sql));
      FAIL("one row");
    } catch (const row_count_error& e) {  // others record it
      CHECK(std::string_view{e.what()}.ends_with(" FROM items WHERE name = ?") !=
            std::string_view{e.what()}.ends_with(" FROM items WHERE name <> ?"));
    }
  }
}

TEST_CASE("an error's text has no value that the database quotes, so that whoever catches it may record it") {
  const auto text = [](const char* code, const char* message) {
    const otlpkit::db::error e{code, message};
    CHECK(std::string_view{e.full_message()} == message);
    return std::string{e.what()};
  };
  CHECK(text("22P02", "invalid input syntax for type integer: \"a\"b\"") ==
        "invalid input syntax for type integer: \"?\"");
  CHECK(text("22P02", "ung\u00fcltige Eingabesyntax f\u00fcr Typ integer: \u201es3cret\u201c") == "ung?");
  CHECK(text("42601", "syntax error at or near \"s3cret") == "syntax error at or near \"?");
  CHECK(text("1", "near \"s3cret\": syntax error") == "near \"?\": syntax error");
  CHECK(text("23505", "duplicate key value violates unique constraint \"items_pkey\"") ==
        "duplicate key value violates unique constraint \"items_pkey\"");
  recording out;
  auto db = with_items();
  CHECK_THROWS_AS(otlpkit::traced("caller", [&] { db.query("SELECT 1 's3cret' 2"); }), otlpkit::sqlite::error);
  for (const auto& span : out.take()) {
    REQUIRE(span.events.size() == 1);
    CHECK(span.events[0].attributes.at("exception.message") == "near \"?\": syntax error");
  }
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
  CHECK(span.attributes.at("network.peer.address") == "192.0.2.7");
  CHECK(span.attributes.at("network.peer.port") == 5433);
  remote usual;
  usual.about.name_space = "usual";
  usual.about.server_port = 0;
  static_cast<void>(traced_db{usual}.query("SELECT 1"));
  const auto duration = out.metric("db.client.operation.duration");
  CHECK(duration.unit == "s");
  REQUIRE(duration.points.size() >= 2);
  CHECK(duration.points[0].bounds == std::vector<double>{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10});
  CHECK(metric_points::by(duration, "server.port").at("5433").labels.at("server.address") == "db.example");
  const auto without_port = metric_points::by(duration, "db.namespace").at("usual").labels;
  CHECK(without_port.at("server.address") == "db.example");
  CHECK_FALSE(without_port.contains("server.port"));
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
  const auto by_error = metric_points::by(out.metric("db.client.operation.duration"), "error.type");
  CHECK(by_error.at("57P01").labels.at("db.response.status_code") == "57P01");
  CHECK_FALSE(by_error.at("std::runtime_error").labels.contains("db.response.status_code"));
  struct nameless : remote {
    std::int64_t execute(std::string_view, parameters) { throw otlpkit::db::error{"", "no code"}; }
  };
  traced_db without{nameless{}};
  CHECK_THROWS_AS(without.execute("DELETE FROM t"), otlpkit::db::error);
  const std::string type{only(out.take(), "DELETE t").attributes.at("error.type").as_string()};
  CHECK(type.ends_with("db::error"));
}

TEST_CASE("failures that another transaction caused are told from others") {
  using otlpkit::db::error;
  using otlpkit::db::is_serialization_failure;
  for (const char* code : {"40001", "40P01", "5", "517", "6"}) CHECK(is_serialization_failure(error{code, ""}));
  for (const char* code : {"23505", "57014", "1", "2067", "", "x", "99999999999"})
    CHECK_FALSE(is_serialization_failure(error{code, ""}));
  using otlpkit::db::is_connection_failure;
  for (const char* code : {"08006", "08001", "57P01"}) CHECK(is_connection_failure(error{code, ""}));
  for (const char* code : {"57014", "40001", "8", "08", ""}) CHECK_FALSE(is_connection_failure(error{code, ""}));
  using otlpkit::db::is_outcome_unknown;
  CHECK(is_outcome_unknown(error{"08007", ""}));
  for (const char* code : {"08006", "57P01", ""}) CHECK_FALSE(is_outcome_unknown(error{code, ""}));
}

TEST_CASE("a batch is one span with its size, and a batch of one is none") {
  recording out;
  auto db = with_items();
  const std::vector<std::vector<parameter>> rows{{3, "mug"}, {4, "can"}};
  CHECK(db.execute_many("INSERT INTO items VALUES ($1, $2)", rows) == 2);
  CHECK(db.execute_many("INSERT INTO items VALUES ($1, $2)", std::vector<std::vector<parameter>>{{5, "tin"}}) == 1);
  CHECK(db.execute_many("INSERT INTO items VALUES ($1, $2)", std::vector<std::vector<parameter>>{}) == 0);
  CHECK(out.diff(R"x(
    BATCH INSERT items [db.system.name=sqlite db.query.summary="BATCH INSERT items" db.query.text="INSERT INTO items VALUES ($1, $2)" db.namespace=shop db.operation.batch.size=2]

    INSERT items [db.system.name=sqlite db.query.summary="INSERT items" db.query.text="INSERT INTO items VALUES ($1, $2)" db.namespace=shop]
  )x") == "");
  CHECK(items_in(db) == 5);
}

TEST_CASE("many rows go in with few statements and one span") {
  recording out;
  auto db = with_items();
  std::vector<std::string> names;
  for (int i = 0; i < 20'000; ++i) names.push_back("n" + std::to_string(i));
  std::vector<parameter> values;
  for (int i = 0; i < 20'000; ++i) {
    values.emplace_back(i + 10);
    values.emplace_back(names[static_cast<std::size_t>(i)]);
  }
  CHECK(db.insert_rows("INSERT INTO items (id, name) VALUES", 2, values) == 20'000);
  CHECK(items_in(db) == 20'002);
  CHECK(db.query_one<std::string>("SELECT name FROM items WHERE id = $1", 20'009) == "n19999");
  const auto spans = out.take();
  const auto batch = only(spans, "BATCH INSERT items");
  CHECK(batch.attributes.at("db.operation.batch.size") == 20'000);
  CHECK(batch.attributes.at("db.query.text") == "INSERT INTO items (id, name) VALUES ($1, $2)");
  CHECK(spans.size() == 2);
  CHECK_THROWS_AS(db.insert_rows("INSERT INTO items (id, name) VALUES", 2, parameters{values}.first(3)),
                  std::invalid_argument);
  CHECK_THROWS_AS(db.insert_rows("INSERT INTO items (id, name) VALUES", 0, {}), std::invalid_argument);
  db.wrapped().run_script("CREATE TABLE threes (a, b, c)");  // rows of which do not fill a statement evenly
  CHECK(db.insert_rows("INSERT INTO threes VALUES", 3, std::vector<parameter>(18'000, 1)) == 6'000);
}

TEST_CASE("a slow statement gets an event, a quick one does not") {
  recording out;
  traced_db slow{remote{}, {.slow_query = std::chrono::nanoseconds{1}}};
  static_cast<void>(slow.query("SELECT a FROM slow WHERE b = $1", 1));
  const auto span = only(out.take(), "SELECT slow");
  REQUIRE(span.events.size() == 1);
  CHECK(span.events[0].name == "otlpkit.db.slow_query");
  CHECK(span.events[0].attributes.at("otlpkit.db.slow_query.threshold") == 1e-9);
  traced_db never{remote{}, {.slow_query = std::chrono::nanoseconds{0}}};
  static_cast<void>(never.query("SELECT a FROM t WHERE b = $1", 1));
  CHECK(only(out.take(), "SELECT t").events.empty());
}
