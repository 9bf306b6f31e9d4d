// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/cache/memory_cache.hpp>
#include <otlpkit/cache/traced_cache.hpp>
#include <otlpkit/db/traced_db.hpp>
#include <otlpkit/trace/detached.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string_view>

namespace {

struct broken_cache {
  std::optional<int> get(std::string_view) { throw std::runtime_error{"no answer"}; }
  bool erase(std::string_view) { throw std::runtime_error{"no answer"}; }
};

}  // namespace

TEST_CASE("with telemetry compiled out a traced cache goes on caching, and on tolerating errors where it was told to") {
  otlpkit::cache::memory_cache<int> memory;
  otlpkit::cache::traced_cache cache{memory, {.name = "x"}};
  cache.set("a", 1);
  CHECK(cache.get("a") == 1);
  otlpkit::cache::traced_cache strict{broken_cache{}, {.name = "x"}};
  CHECK_THROWS_AS(static_cast<void>(strict.get("a")), std::runtime_error);
  otlpkit::cache::traced_cache tolerant{broken_cache{}, {.name = "x", .tolerate_errors = true}};
  CHECK_FALSE(tolerant.get("a").has_value());
}

TEST_CASE("with telemetry compiled out statements run, transactions are rolled back and errors are thrown") {
  otlpkit::db::traced_db db{otlpkit::sqlite::connection{":memory:"}};
  db.execute("CREATE TABLE t (a UNIQUE)");
  {
    auto tx = db.transaction();
    db.execute("INSERT INTO t VALUES ($1)", 1);
  }
  CHECK(db.query("SELECT a FROM t").empty());
  db.execute("INSERT INTO t VALUES ($1)", 2);
  CHECK_THROWS_AS(db.execute("INSERT INTO t VALUES ($1)", 2), otlpkit::db::error);
  CHECK(db.query_one<int>("SELECT a FROM t") == 2);
}

TEST_CASE("with telemetry compiled out detached work is done") {
  int done = 0;
  auto work = otlpkit::detached("work", [&done](int n) { done = n; });
  work(3);
  CHECK(done == 3);
}
