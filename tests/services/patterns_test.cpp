// SPDX-License-Identifier: MIT
// Outbox, saga journal and idempotency keys on real servers.
// links: PostgreSQL::PostgreSQL PkgConfig::hiredis
#include <otlpkit/adapters/postgres.hpp>
#include <otlpkit/adapters/redis/idempotency_store.hpp>
#include <otlpkit/db/pool.hpp>
#include <otlpkit/messaging/idempotency.hpp>
#include <otlpkit/messaging/idempotency_sql.hpp>
#include <otlpkit/messaging/outbox_relay.hpp>
#include <otlpkit/messaging/saga.hpp>
#include <otlpkit/messaging/saga_sql.hpp>

#include <doctest/doctest.h>

#include "messaging/outbox_checks.hpp"
#include "support/server_process.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;
using database = otlpkit::db::traced_db<otlpkit::postgres::connection>;
using pool = otlpkit::db::pool<database>;

namespace {

support::postgres_server& server() {
  static support::postgres_server one;
  one.start();
  return one;
}
database connect() { return database{otlpkit::postgres::connection{server().url()}}; }
std::unique_ptr<pool> connections(std::size_t most) {
  const std::string url = server().url();
  return std::make_unique<pool>([url] { return database{otlpkit::postgres::connection{url}}; },
                                otlpkit::db::pool_options{.max_size = most});
}
/// An empty outbox.
database outbox_tables() {
  database db = connect();
  for (const std::string& sql : outbox_table(sql_dialect::postgresql)) db.execute(sql);
  db.execute("TRUNCATE otlpkit_outbox");
  return db;
}
std::int64_t pending(database& db) {
  return db.query_one<std::int64_t>("SELECT COUNT(*) FROM otlpkit_outbox WHERE state = 0");
}

}  // namespace

TEST_CASE("several relays on PostgreSQL: everything is sent once, in order per key, while writers go on") {
  database db = outbox_tables();
  const outbox box;
  recording_producer producer;
  const auto shared = connections(8);
  std::atomic<bool> written{false};
  std::vector<std::thread> relays;
  for (int i = 0; i < 4; ++i) {
    relays.emplace_back([&] {
      outbox_relay relay{*shared, producer, {.batch = 9}};
      for (int empty = 0; empty < 5;) {
        const bool over = written;
        if (relay.relay().sent > 0)
          empty = 0;
        else if (over)
          ++empty;
      }
    });
  }
  for (int n = 0; n < 60; ++n) {
    auto tx = db.transaction();
    for (int k = 0; k < 10; ++k) {
      const std::string key = "k" + std::to_string(k);
      box.write(db, {.destination = "orders", .key = key, .body = key + ":" + std::to_string(n)});
    }
    tx.commit();
  }
  written = true;
  for (std::thread& t : relays) t.join();
  CHECK(producer.sent.size() == 600);
  CHECK(in_order(producer.sent, 10, 60));
}

TEST_CASE("what another relay is about to take is passed over, and not waited for") {
  database db = outbox_tables(), other = connect();
  const outbox box;
  for (const char* key : {"a", "b"})
    box.write(db, {.destination = "orders", .key = key, .body = std::string{key} + ":0"});
  auto tx = other.transaction();
  other.query("SELECT id FROM otlpkit_outbox WHERE message_key = $1 FOR UPDATE", detail::bytes_of("a"));
  recording_producer producer;
  outbox_relay relay{db, producer};
  box.write(db, {.destination = "orders", .key = "a", .body = "a:1"});
  CHECK(relay.relay().sent == 1);
  CHECK(producer.bodies() == "b:0");
  tx.rollback();
  CHECK(relay.relay().sent == 2);
  CHECK(producer.bodies() == "b:0 a:0 a:1");
}

TEST_CASE("the server dies between publishing and marking: the message goes out again, and is not lost") {
  database db = outbox_tables();
  const outbox box;
  write_numbered(box, db, 2, 3);
  const auto shared = connections(2);
  recording_producer producer;
  producer.during = [&producer] {
    producer.during = {};
    server().kill();
  };
  outbox_relay relay{*shared, producer, {.lease = 300ms}};
  CHECK_THROWS_AS(relay.relay(), std::runtime_error);
  CHECK(producer.sent.size() == 6);
  CHECK_THROWS_AS(relay.relay(), std::runtime_error);  // it is still dead
  server();
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (producer.sent.size() < 12 && std::chrono::steady_clock::now() < end) {
    relay.relay();
    std::this_thread::sleep_for(10ms);
  }
  CHECK(producer.sent.size() == 12);
  CHECK(in_order(producer.sent, 2, 3));
  database after = connect();
  CHECK(pending(after) == 0);
}

TEST_CASE("bytes pass through PostgreSQL as they are, and parked messages can be let in again") {
  database db = outbox_tables();
  const std::string binary{"\0\xff'; DROP TABLE otlpkit_outbox --", 33}, large(std::size_t{1} << 20, '\0');
  outbox{}.write(db, {.destination = "orders", .key = large, .body = binary, .headers = {{"a", binary}}});
  recording_producer producer;
  producer.failures[binary] = 1;
  outbox_relay relay{db, producer, {.max_attempts = 1}};
  CHECK(relay.relay().parked == 1);
  CHECK(relay.measure().parked == 1);
  CHECK(relay.unpark() == 1);
  CHECK(relay.relay().sent == 1);
  CHECK(producer.sent.at(0).body == binary);
  CHECK(producer.sent.at(0).headers.at(0).second == binary);
  CHECK(relay.erase_sent(0s) == 1);
}

TEST_CASE(
    "idempotency keys in PostgreSQL: of many callers one runs, and with the business in one transaction no death "
    "undoes that") {
  database db = connect();
  db.execute(idempotency_table(sql_dialect::postgresql));
  db.execute("CREATE TABLE charges (id TEXT NOT NULL)");
  const auto shared = connections(6);
  sql_idempotency_store store{*shared};
  idempotency_guard guard{store, {.name = "charges"}};
  std::atomic<int> runs{0}, wrong{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const std::string key = std::string{"\0\xff", 2} + std::to_string(i);
        if (*guard.run(key, "same", [&] { return ++runs, key; }) != key) ++wrong;
      }
    });
  }
  for (std::thread& t : callers) t.join();
  CHECK(runs == 20);
  CHECK(wrong == 0);
  sql_idempotency_store inside{db};
  idempotency_guard exact{inside, {.name = "exact"}};
  const auto charge = [&](bool dies) {
    auto tx = db.transaction();
    exact.run("key", [&] { db.execute("INSERT INTO charges VALUES ($1)", "c-1"); });
    if (!dies) tx.commit();
  };
  charge(true);
  charge(false);
  charge(false);
  CHECK(db.query_one<std::int64_t>("SELECT COUNT(*) FROM charges") == 1);
}

TEST_CASE("a saga's journal in PostgreSQL: the server dies in mid-saga, and the saga is resumed once") {
  database db = connect();
  db.execute(saga_table(sql_dialect::postgresql));
  const auto shared = connections(4);
  sql_saga_journal journal{*shared};
  struct state {
    std::vector<std::string> done;
  };
  bool dies = true;
  saga<state> s{{.name = "dies"}};
  s.step("a", [](state& w) { w.done.push_back("a"); });
  s.step("b", [&dies](state& w) {
    w.done.push_back("b");
    if (dies) server().kill();
    dies = false;
  });
  state w;
  CHECK_THROWS_AS(s.run(w, journal, "1"), std::runtime_error);
  server();
  CHECK(journal.unfinished("dies", 0s) == std::vector<std::string>{"1"});
  std::atomic<int> went_on{0}, refused{0};
  std::vector<std::thread> all;
  for (int t = 0; t < 4; ++t) {
    all.emplace_back([&] {
      state mine;
      try {
        if (s.resume(mine, journal, "1")) ++went_on;
      } catch (const saga_taken_error&) {
        ++refused;
      }
    });
  }
  for (std::thread& t : all) t.join();
  CHECK(went_on == 1);
  CHECK(journal.unfinished("dies", 0s).empty());
}

TEST_CASE("idempotency keys in Redis: leases, results, failures, other owners, and a restart") {
  support::redis_server redis;
  otlpkit::redis::connection c{
      {.url = redis.url(), .command_timeout = 2000ms, .first_back_off = 20ms, .max_back_off = 50ms}};
  otlpkit::redis::idempotency_store store{c};
  struct refused : std::runtime_error {
    using runtime_error::runtime_error;
  };
  idempotency_guard guard{store, {.name = "n", .remember_failure = otlpkit::resilience::handles<refused>()}};
  const std::string key{"\0\xff\r\n$5", 6}, result{"\0\xfe", 2};
  CHECK(*guard.run(key, "body", [&] { return result; }) == result);
  CHECK(*guard.run(key, "body", [] { return std::string{"again"}; }) == result);
  CHECK_THROWS_AS(guard.run(key, "other", [] {}), key_reused_error);
  CHECK_THROWS_AS(guard.run("f", []() -> std::string { throw refused{"no"}; }), refused);
  CHECK_THROWS_AS(guard.run("f", [] {}), remembered_failure_error);
  const idempotency_claim mine{"n", "lease", {}, "mine", "where", 300ms}, other{"n", "lease", {}, "other", {}, 10s};
  CHECK(store.begin(mine).state == idempotency_state::begun);
  CHECK(store.release(mine));
  CHECK_FALSE(store.release(mine));
  CHECK(store.begin(mine).state == idempotency_state::begun);
  const idempotency_entry found_running = store.begin(other);
  CHECK(found_running.state == idempotency_state::in_progress);
  CHECK(found_running.context == "where");
  CHECK_FALSE(store.release(other));
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (store.begin(other).state != idempotency_state::begun && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(5ms);
  }
  CHECK_FALSE(store.finish(mine, idempotency_state::succeeded, "late", 1h));
  CHECK(store.finish(other, idempotency_state::succeeded, "done", 1h));
  CHECK_FALSE(store.finish(other, idempotency_state::failed, "changed my mind", 1h));
  CHECK_FALSE(store.release(other));
  CHECK(store.begin(mine).result == "done");
  CHECK(c.command("PTTL", "otlpkit:idempotency:1:n:lease").integer() > 10'000);
  // Keys of guards whose names begin alike are apart.
  CHECK(store.begin({"a", "b:c", {}, "1", {}, 10s}).state == idempotency_state::begun);
  CHECK(store.begin({"a:b", "c", {}, "2", {}, 10s}).state == idempotency_state::begun);
  redis.restart();
  std::string found;
  while (found.empty() && std::chrono::steady_clock::now() < end + 10s) {
    try {
      found = *guard.run(key, "body", [] { return std::string{"again"}; });
    } catch (const otlpkit::redis::error&) {
    }
  }
  CHECK(found == result);
}
