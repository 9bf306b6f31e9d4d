// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/canary/router.hpp>
#include <otlpkit/messaging/idempotency.hpp>
#include <otlpkit/messaging/idempotency_sql.hpp>
#include <otlpkit/messaging/outbox_relay.hpp>
#include <otlpkit/messaging/saga.hpp>
#include <otlpkit/messaging/saga_sql.hpp>

#include <doctest/doctest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace otlpkit::messaging;
using database = otlpkit::db::traced_db<otlpkit::sqlite::connection>;

TEST_CASE("with telemetry compiled out a router decides and changes") {
  otlpkit::canary::router r{{.name = "x"}, {.variants = {{.percentage = 100, .groups = {"staff"}}}}};
  const std::map<std::string, std::string> headers{{"X-Canary", "stable"}};
  CHECK(r.decide({.key = "k"}).canary());
  CHECK(r.decide(headers, {.key = "k"}).stable());
  CHECK(r.decide({.key = "k"}).carried().empty());
  r.force("stable");
  CHECK(r.decide({.group = "staff"}).stable());
}

TEST_CASE("with telemetry compiled out a guarded call runs once, in memory and in a table") {
  memory_idempotency_store memory;
  database db{otlpkit::sqlite::connection{":memory:"}};
  db.execute(idempotency_table(sql_dialect::sqlite));
  sql_idempotency_store table{db};
  idempotency_guard one{memory, {.name = "x"}};
  idempotency_guard two{table, {.name = "x"}};
  int runs = 0;
  for (int i = 0; i < 2; ++i) {
    CHECK(*one.run("k", "body", [&] { return ++runs, std::string{"a"}; }) == "a");
    CHECK(*two.run("k", "body", [&] { return ++runs, std::string{"b"}; }) == "b");
  }
  CHECK(runs == 2);
  CHECK_THROWS_AS(one.run("k", "other", [] {}), key_reused_error);
}

TEST_CASE("with telemetry compiled out sagas are undone, kept and resumed") {
  database db{otlpkit::sqlite::connection{":memory:"}};
  db.execute(saga_table(sql_dialect::sqlite));
  sql_saga_journal journal{db};
  saga<std::string> s{{.name = "x"}};
  s.step(
      "a", [](std::string& t) { t += "a"; }, [](std::string& t) { t += "-"; });
  s.step("b", [](std::string&) { throw std::runtime_error{"no"}; });
  std::string trace;
  CHECK_THROWS_AS(s.run(trace, journal, "1"), saga_failed_error);
  CHECK(trace == "a-");
  CHECK_FALSE(s.resume(trace, journal, "1"));
}

TEST_CASE("with telemetry compiled out an outbox is written and relayed") {
  database db{otlpkit::sqlite::connection{":memory:"}};
  for (const std::string& sql : outbox_table(sql_dialect::sqlite)) db.execute(sql);
  outbox{}.write(db, {.destination = "orders", .key = "k", .body = "1"});
  struct {
    std::vector<std::string> sent;
    void publish(std::string_view, message m) { sent.push_back(m.body); }
  } producer;
  outbox_relay relay{db, producer};
  CHECK(relay.relay().sent == 1);
  CHECK(producer.sent == std::vector<std::string>{"1"});
  CHECK(relay.measure().pending == 0);
}
