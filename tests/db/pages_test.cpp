// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/pool.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include "support/span_recording.hpp"

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

// The examples of docs/database.md, transaction.md, connection_pool.md and sqlite.md, as they stand there.
namespace {

struct product {
  std::string id;
  std::int64_t price;  // minor units
  std::optional<std::int64_t> stock;
};

std::int64_t price_of(const std::string& id) {
  otlpkit::db::traced_db db{otlpkit::sqlite::connection{":memory:"}};
  db.execute("CREATE TABLE products (id TEXT PRIMARY KEY, price BIGINT NOT NULL, stock BIGINT)");
  db.execute("INSERT INTO products VALUES ($1, $2, $3)", id, 1290, 40);
  return db.query_one<product>("SELECT id, price, stock FROM products WHERE id = $1", id).price;
}

using store = otlpkit::db::traced_db<otlpkit::sqlite::connection>;

void transfer(store& db, std::int64_t from, std::int64_t to, std::int64_t amount) {
  auto tx = db.transaction();
  const auto balance = db.query_one<std::int64_t>("SELECT balance FROM accounts WHERE id = $1", from);
  if (balance < amount) throw std::runtime_error{"insufficient balance"};  // rolled back
  db.execute("UPDATE accounts SET balance = balance - $1 WHERE id = $2", amount, from);
  db.execute("UPDATE accounts SET balance = balance + $1 WHERE id = $2", amount, to);
  tx.commit();
}

void count_visit(const std::string& file) {
  otlpkit::db::pool pool{[file] { return otlpkit::db::traced_db{otlpkit::sqlite::connection{file}}; },
                         {.name = "visits", .max_size = 4}};
  auto db = pool.acquire();  // given back at the end of the scope
  db->execute("CREATE TABLE IF NOT EXISTS visits (at TEXT NOT NULL)");
  db->execute("INSERT INTO visits VALUES (datetime('now'))");
}

std::size_t names(const std::string& file) {
  otlpkit::db::traced_db db{otlpkit::sqlite::connection{file, {.name_space = "shop"}}};
  db.execute("CREATE TABLE IF NOT EXISTS people (name TEXT NOT NULL)");
  db.execute("INSERT INTO people VALUES ($1)", "Ada");
  return db.query<std::string>("SELECT name FROM people ORDER BY name").size();
}

struct temporary_file {
  std::string path = (std::filesystem::temp_directory_path() / "otlpkit-pages-XXXXXX").string();
  temporary_file() { ::close(::mkstemp(path.data())); }
  ~temporary_file() {
    std::error_code ignored;
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix, ignored);
  }
};

std::vector<std::string> names_of(const std::vector<otlpkit::testing::span_record>& spans) {
  std::vector<std::string> all;
  for (const auto& s : spans) all.push_back(s.name);
  return all;
}

}  // namespace

TEST_CASE("the page's example: a database") {
  support::recording out;
  CHECK(price_of("p-1001") == 1290);
  CHECK(names_of(out.take()) ==
        std::vector<std::string>{"CREATE TABLE products", "INSERT products", "SELECT products"});
}

TEST_CASE("the page's example: a transaction") {
  support::recording out;
  store db{otlpkit::sqlite::connection{":memory:"}};
  db.execute("CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)");
  db.execute("INSERT INTO accounts VALUES (1, 100), (2, 0)");
  static_cast<void>(out.take());
  transfer(db, 1, 2, 70);
  CHECK(names_of(out.take()) ==
        std::vector<std::string>{"BEGIN", "SELECT accounts", "UPDATE accounts", "UPDATE accounts", "COMMIT"});
  CHECK_THROWS_AS(transfer(db, 1, 2, 70), std::runtime_error);
  CHECK(names_of(out.take()) == std::vector<std::string>{"BEGIN", "SELECT accounts", "ROLLBACK"});
  CHECK(db.query_one<std::int64_t>("SELECT balance FROM accounts WHERE id = 2") == 70);
}

TEST_CASE("the page's example: a pool") {
  const temporary_file file;
  count_visit(file.path);
  count_visit(file.path);
  otlpkit::sqlite::connection c{file.path};
  CHECK(c.query("SELECT at FROM visits", {}).size() == 2);
}

TEST_CASE("the page's example: SQLite") {
  const temporary_file file;
  CHECK(names(file.path) == 1);
  CHECK(names(file.path) == 2);
}
