// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/pool.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

TEST_CASE("with telemetry compiled out pools are bounded, batches run and transactions are rolled back") {
  otlpkit::db::pool pool{[] { return otlpkit::db::traced_db{otlpkit::sqlite::connection{":memory:"}}; },
                         {.name = "x", .max_size = 1, .max_wait = std::chrono::milliseconds{1}}};
  auto db = pool.acquire();
  CHECK_THROWS_AS(static_cast<void>(pool.acquire()), otlpkit::db::pool_timeout_error);
  db->execute("CREATE TABLE t (a BIGINT)");
  CHECK(db->insert_rows("INSERT INTO t VALUES", 1, std::vector<otlpkit::db::parameter>{1, 2, 3}) == 3);
  {
    auto tx = db->transaction();
    db->execute("DELETE FROM t WHERE a = $1", 1);
    const auto part = tx.savepoint();
    db->execute("DELETE FROM t");
  }
  CHECK(otlpkit::db::in_transaction(*db, [](auto& own) { return own.execute("DELETE FROM t WHERE a = 3"); }) == 1);
  CHECK(db->query<int>("SELECT a FROM t").size() == 2);
}
