// SPDX-License-Identifier: MIT
#include <otlpkit/db/query_summary.hpp>
#include <otlpkit/db/query_text.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using otlpkit::db::query_summary;
using otlpkit::db::sql_dialect;
using otlpkit::db::without_literals;

namespace {

std::string summary(std::string_view sql, std::string_view system = {}) {
  return std::string{query_summary{sql, sql_dialect::of(system)}.text()};
}

}  // namespace

TEST_CASE("a summary names operations and targets in the order of the query, as they are written") {
  CHECK(summary("SELECT id FROM products WHERE id = $1") == "SELECT products");
  CHECK(summary("select * from products") == "select products");
  CHECK(summary("INSERT INTO shipping_details (a, b) SELECT x, y FROM orders") ==
        "INSERT shipping_details SELECT orders");
  CHECK(summary("SELECT * FROM songs, artists WHERE songs.a = artists.id") == "SELECT songs artists");
  CHECK(summary("SELECT * FROM songs s LEFT OUTER JOIN artists AS a ON s.a = a.id, labels") ==
        "SELECT songs artists labels");
  CHECK(summary("SELECT * FROM (SELECT a FROM orders JOIN customers ON 1=1) WHERE b") ==
        "SELECT SELECT orders customers");
  CHECK(summary("SELECT a FROM \"song list\", 'artists'") == "SELECT \"song list\" 'artists'");
  CHECK(summary("SELECT a FROM shop.\"order\".lines l") == "SELECT shop.\"order\".lines");
  CHECK(summary("UPDATE products SET stock = (SELECT max(a) FROM x) WHERE id = $1") == "UPDATE products SELECT x");
  CHECK(summary("DELETE FROM ONLY products") == "DELETE products");
  CHECK(summary("call some_procedure(1)") == "call some_procedure");
  CHECK(summary("CREATE UNIQUE INDEX IF NOT EXISTS by_name ON products (name)") == "CREATE INDEX by_name");
  CHECK(summary("DROP TABLE IF EXISTS products") == "DROP TABLE products");
  CHECK(summary("SELECT 1; DELETE FROM t") == "SELECT DELETE t");
  CHECK(summary("SELECT a FROM x UNION ALL SELECT b FROM y") == "SELECT x SELECT y");
  CHECK(summary("BEGIN IMMEDIATE") == "BEGIN");
  CHECK(summary("  /* select a from b */ COMMIT -- now") == "COMMIT");
  CHECK(summary("") == "");
}

TEST_CASE("words that only look like operations and targets are left out") {
  CHECK(summary("INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 2") == "INSERT t");
  CHECK(summary("SELECT a FROM t WHERE b FOR UPDATE") == "SELECT t");
  CHECK(summary("SELECT extract(year FROM ts), trim(both FROM x) FROM t") == "SELECT t");
  CHECK(summary("SELECT * FROM t WHERE a IS DISTINCT FROM b") == "SELECT t");
  CHECK(summary("SELECT * FROM t GROUP BY a, b ORDER BY c, d") == "SELECT t");
  CHECK(summary("SELECT 'DELETE FROM x' FROM t") == "SELECT t");
  CHECK(summary("WITH old AS (DELETE FROM a RETURNING *), more AS (SELECT 1) UPDATE b SET c = 1") ==
        "DELETE a SELECT UPDATE b");
}

TEST_CASE("a summary has 255 bytes at most and is not cut within a name") {
  std::string sql = "SELECT 1 FROM t0";
  for (int i = 1; i < 200; ++i) sql += ", table_" + std::to_string(i);
  const std::string text = summary(sql);
  CHECK(text.size() <= 255);
  CHECK(text.size() > 240);
  CHECK((sql + ",").find(text.substr(text.rfind(' ') + 1) + ",") != std::string::npos);
  CHECK(summary("SELECT 1 FROM " + std::string(300, 'x')) == "SELECT");
}

TEST_CASE("literals of every kind become question marks, names stay") {
  CHECK(without_literals("SELECT a1, \"b 2\" FROM t3 WHERE x = 'it''s' AND y = 12 AND z IN (1.5e-3, .5, 0xFF, TRUE)") ==
        "SELECT a1, \"b 2\" FROM t3 WHERE x = ? AND y = ? AND z IN (?, ?, ?, ?)");
  CHECK(without_literals("SELECT E'a\\'b', N'c', X'00ff', U&'d', DATE '2026-01-01'") == "SELECT ?, ?, ?, ?, DATE ?");
  CHECK(without_literals("SELECT $$secret$$, $tag$it's $$ secret$tag$, $1") == "SELECT ?, ?, $1");
  CHECK(without_literals("SELECT 1 -- secret\n, /* secret */ 2") == "SELECT ?  \n,   ?");
  CHECK(without_literals("SELECT a FROM t WHERE b = :name AND c = @p1 AND d = ?") ==
        "SELECT a FROM t WHERE b = :name AND c = @p1 AND d = ?");
}

TEST_CASE("dialects differ in what is a literal") {
  CHECK(without_literals(R"(SELECT 'it\'s secret', "secret" # secret)", sql_dialect::of("mysql")) == "SELECT ?, ?  ");
  CHECK(without_literals(R"(SELECT 'a\', b)", sql_dialect::of("postgresql")) == "SELECT ?, b");
  CHECK(without_literals("/* a /* b */ secret */ SELECT 1", sql_dialect::of("postgresql")) == "  SELECT ?");
  // For SQLite what stands in double quotes is a string if nothing has that name, and [it's] is a name.
  CHECK(without_literals(R"(SELECT [it's], a FROM t WHERE b = "secret")", sql_dialect::of("sqlite")) ==
        "SELECT [it's], a FROM t WHERE b = ?");
  CHECK(summary(R"(SELECT a FROM "main"."order lines" JOIN [it's])", "sqlite") ==
        R"(SELECT "main"."order lines" [it's])");
  CHECK(without_literals("SELECT a[1], b['x']", sql_dialect::of("postgresql")) == "SELECT a[?], b[?]");
}

TEST_CASE("a string that goes on in the next line has the escapes of its beginning") {
  CHECK(without_literals("SELECT E'a' -- more\n 'b\\'secret', c") == "SELECT ?  \n ?, c");
  CHECK(without_literals("SELECT E'a', 'b\\', c") == "SELECT ?, ?, c");
}

TEST_CASE("what is opened and never closed is taken for a literal to the end") {
  for (const std::string open : {"'", "$$", "$a$", "/*", "--", "E'", "x'"}) {
    CHECK(without_literals("SELECT a, " + open + " secret").find("secret") == std::string::npos);
    CHECK(summary("SELECT a FROM t " + open + " secret") == "SELECT t");
  }
}

TEST_CASE("a megabyte of anything is read once, without a crash") {
  for (const std::string part :
       {"(", ")", "'", "\"", "$", "$a", "/*", "a.", "SELECT ", "FROM (", "1e", ",", "\\", "-", "\xFF", "x'"}) {
    std::string sql = "SELECT 1 FROM t WHERE ";
    while (sql.size() < (std::size_t{1} << 20)) sql += part;
    CHECK(summary(sql).size() <= 255);
    CHECK(without_literals(sql).size() <= sql.size() + 1);
  }
}

TEST_CASE("whatever the text, no string in single quotes is left, and doing it again changes nothing") {
  constexpr std::string_view parts[] = {"SELECT ", "FROM ", "'secret'", "''", "1",  "a",  ".",  "(",     ")",
                                        ",",       "$1",    "$t$",      "--", "\n", "/*", "*/", "\"q\"", "E'",
                                        "'",       "x",     " ",        ";",  "?",  "0x", "e+", ":"};
  std::mt19937_64 random{42};
  for (int round = 0; round < 5'000; ++round) {
    std::string sql;
    for (std::uint64_t n = random() % 20; n > 0; --n) sql += parts[random() % std::size(parts)];
    const std::string once = without_literals(sql);
    REQUIRE(once.find("'secret'") == std::string::npos);
    REQUIRE(once.size() <= sql.size() + 1);
    REQUIRE(summary(sql).size() <= query_summary::max_size);
  }
}
