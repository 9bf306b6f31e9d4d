// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
// emits: telemetry
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/messaging/outbox_relay.hpp>
#include <otlpkit/messaging/producer.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include "outbox_fixture.hpp"
#include "resilience/recorded.hpp"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace outbox_fixture;
using otlpkit::db::traced_db;

namespace {

// The page's example.
void mark_paid(database& db, const otlpkit::messaging::outbox& outbox, const std::string& id) {
  OTLPKIT_SPAN("caller order.pay");
  auto tx = db.transaction();
  db.execute("UPDATE orders SET state = 'paid' WHERE id = $1", id);
  outbox.write(db, {.destination = "orders", .key = id, .body = "{\"event\": \"paid\"}"});
  tx.commit();
}

}  // namespace

TEST_CASE("the page's example: the message is sent once its transaction is committed, in the trace that wrote it") {
  recorded out;
  outbox_case c;
  c.db.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, state TEXT NOT NULL)");
  c.db.execute("INSERT INTO orders VALUES ('o-1', 'new')");
  static_cast<void>(out.all.take());
  traced_producer producer{c.producer, {.broker = {.system = "memory"}}};
  outbox_relay relay{c.db, producer, {.name = "orders", .now = test_now}};
  CHECK(relay.relay().taken == 0);
  CHECK(out.spans().empty());
  mark_paid(c.db, c.box, "o-1");
  now += 2000;
  const relayed r = relay.relay();
  CHECK(r.sent == 1);
  REQUIRE(c.producer.sent.size() == 1);
  CHECK(c.producer.sent[0].body == "{\"event\": \"paid\"}");

  const auto spans = out.spans();
  const auto& wrote = recorded::only(spans, "caller order.pay");
  const auto& made = recorded::only(spans, "create orders");
  const auto& sent = recorded::only(spans, "send orders");
  const auto& relaying = recorded::only(spans, "outbox.relay orders");
  CHECK(made.kind == 4);
  CHECK(made.attributes.at("messaging.system") == "outbox");
  CHECK(made.parent_id == wrote.span_id);
  CHECK(sent.parent_id == made.span_id);
  CHECK(sent.trace_id == wrote.trace_id);
  CHECK(relaying.trace_id != wrote.trace_id);
  REQUIRE(relaying.links.size() == 1);
  CHECK(relaying.links[0].span_id == made.span_id);
  CHECK(relaying.attributes.at("otlpkit.outbox.sent").as_int() == 1);
  CHECK(otlpkit::extract(c.producer.sent[0].headers).valid());
  CHECK(support::hex(otlpkit::extract(c.producer.sent[0].headers).span.span) == made.span_id);
  CHECK(out.metric("otlpkit.outbox.messages").at("otlpkit.outbox.name=orders,otlpkit.outbox.outcome=sent") == 1);
  CHECK(out.metric("otlpkit.outbox.delay").at("otlpkit.outbox.name=orders") == 1);
  CHECK(relay.relay().taken == 0);
}

TEST_CASE("what is rolled back is not sent") {
  outbox_case c;
  {
    auto tx = c.db.transaction();
    c.write("k", "never");
  }
  CHECK(c.relay().relay().taken == 0);
}

TEST_CASE("the relay's own trace, which links the writer's, where the trace shall not go on") {
  recorded out;
  outbox_case c;
  {
    const otlpkit::span_guard caller{"caller"};
    c.write("k", "a");
  }
  traced_producer producer{c.producer, {.broker = {.system = "memory"}}};
  outbox_relay relay{c.db, producer, {.name = "own", .continue_trace = false, .now = test_now}};
  CHECK(relay.relay().sent == 1);
  const auto spans = out.spans();
  const auto& sent = recorded::only(spans, "send orders");
  CHECK(sent.trace_id == recorded::only(spans, "outbox.relay own").trace_id);
  REQUIRE(sent.links.size() == 1);
  CHECK(sent.links[0].span_id == recorded::only(spans, "create orders").span_id);
}

TEST_CASE("a message that fails holds up those of its key, and nothing else, until its time has come") {
  recorded out;
  outbox_case c;
  for (const char* body : {"a1", "b1", "a2", "b2", "a3"}) c.write(std::string(1, body[0]), body);
  c.write("", "x1");
  auto relay = c.relay({.retry_delay = 4s});
  c.producer.failures["a1"] = 2;
  relayed r = relay.relay();
  CHECK(c.producer.bodies() == "b1 b2 x1");
  CHECK(r.taken == 6);
  CHECK(r.sent == 3);
  CHECK(r.failed == 1);
  CHECK(r.released == 2);
  CHECK_THROWS_WITH(std::rethrow_exception(r.failure), "a1 is refused");
  CHECK(relay.relay().taken == 0);
  now += 3999;
  CHECK(relay.relay().taken == 0);
  now += 1;
  CHECK(relay.relay().failed == 1);  // the second time: twice the delay
  now += 7999;
  CHECK(relay.relay().taken == 0);
  now += 1;
  CHECK(relay.relay().sent == 3);
  CHECK(c.producer.bodies() == "b1 b2 x1 a1 a2 a3");
}

TEST_CASE(
    "a message that fails too often is parked with its error, the rest of its key goes on, and it can be let in "
    "again") {
  recorded out;
  outbox_case c;
  c.write("k", "poison");
  c.write("k", "next");
  auto relay = c.relay({.name = "parks", .max_attempts = 2, .retry_delay = 0s});
  c.producer.failures["poison"] = 2;
  CHECK(relay.relay().failed == 1);
  const relayed r = relay.relay();
  CHECK(r.parked == 1);
  CHECK(r.sent == 1);
  CHECK(c.producer.bodies() == "next");
  CHECK(c.db.query_one<std::string>("SELECT error FROM otlpkit_outbox WHERE state = 2") == "poison is refused");
  CHECK(relay.measure().parked == 1);
  CHECK(relay.relay().taken == 0);
  CHECK(relay.unpark() == 1);
  CHECK(relay.relay().sent == 1);
  CHECK(c.producer.bodies() == "next poison");
  bool said = false;
  for (const auto& s : out.spans())
    said = said || recorded::events(s).find("otlpkit.outbox.parked") != std::string::npos;
  CHECK(said);
}

TEST_CASE("where the broker does not answer nothing counts as an attempt, and the batch ends") {
  outbox_case c;
  for (int i = 0; i < 5; ++i) c.write("", std::to_string(i));
  auto relay = c.relay({.max_attempts = 1, .retry_delay = 1s});
  c.producer.down = true;
  for (int i = 0; i < 5; ++i) {
    const relayed r = relay.relay();
    CHECK(r.failed == 1);
    CHECK(r.parked == 0);
    now += 30'000;
  }
  CHECK(c.producer.calls == 5);
  c.producer.down = false;
  CHECK(relay.relay().sent == 5);
  c.write("", "own rule");
  auto strict = c.relay({.max_attempts = 1, .is_poison = [](const otlpkit::resilience::outcome&) { return true; }});
  c.producer.down = true;
  CHECK(strict.relay().parked == 1);
}

TEST_CASE("a relay that dies between publishing and marking: the message goes out again, and is not lost") {
  outbox_case c;
  c.write("k", "1");
  c.write("k", "2");
  auto relay = c.relay({.lease = 30s});
  c.db.wrapped().fails_at = "SET state = 1";
  CHECK_THROWS_WITH(relay.relay(), "the database is gone");
  c.db.wrapped().fails_at = "\x01";
  CHECK(c.producer.bodies() == "1 2");
  auto other = c.relay();
  CHECK(other.relay().taken == 0);  // they are still the dead one's
  now += 30'000;
  CHECK(other.relay().sent == 2);
  CHECK(c.producer.bodies() == "1 2 1 2");
  CHECK(c.count("state = 0") == 0);
}

TEST_CASE("a relay that is too slow sends nothing more when its lease is over") {
  recorded out;
  outbox_case c;
  for (const char* body : {"1", "2", "3", "4"}) c.write("k", body);
  auto slow = c.relay({.lease = 10s}), other = c.relay({.lease = 10s});
  c.producer.during = [] { now += 5000; };
  relayed r = slow.relay();
  CHECK(c.producer.bodies() == "1 2");
  CHECK(r.sent == 2);
  CHECK(r.released == 2);
  c.producer.during = {};
  CHECK(other.relay().sent == 2);
  // While one publishes, its time ends and another takes over: both send, and the first one knows.
  c.write("k", "5");
  c.producer.during = [&] {
    c.producer.during = {};
    now += 10'000;
    CHECK(other.relay().sent == 1);
  };
  r = slow.relay();
  CHECK(r.lost == 1);
  CHECK(c.producer.bodies() == "1 2 3 4 5 5");
  bool said = false;
  for (const auto& s : out.spans()) said = said || s.attributes.contains("otlpkit.outbox.lost");
  CHECK(said);
}

TEST_CASE("several relays at once: everything is sent once, in order per key, and none waits for another's batch") {
  const auto path =
      std::filesystem::temp_directory_path() / ("otlpkit_outbox_" + std::to_string(std::random_device{}()) + ".db");
  {
    traced_db<otlpkit::sqlite::connection> db{otlpkit::sqlite::connection{path.string()}};
    for (const std::string& sql : outbox_table(sql_dialect::sqlite)) db.execute(sql);
    const outbox box;
    auto tx = db.transaction();
    write_numbered(box, db, 10, 40);
    tx.commit();
    recording_producer producer;
    std::vector<std::thread> relays;
    for (int i = 0; i < 3; ++i) {
      relays.emplace_back([&] {
        traced_db<otlpkit::sqlite::connection> own{otlpkit::sqlite::connection{path.string()}};
        outbox_relay relay{own, producer, {.batch = 7}};
        for (int empty = 0; empty < 20;) empty = relay.relay().sent == 0 ? empty + 1 : 0;
      });
    }
    for (std::thread& t : relays) t.join();
    CHECK(in_order(producer.sent, 10, 40));
    CHECK(producer.sent.size() == 400);
  }
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix);
}

TEST_CASE("hostile rows: any bytes pass, a mebibyte too, and what cannot be read is parked") {
  recorded out;
  outbox_case c;
  const std::string binary{"\0\xff'; DROP TABLE otlpkit_outbox --\n", 34}, large(std::size_t{1} << 20, '\0');
  c.box.write(c.db, {.destination = "orders", .key = large, .body = binary, .headers = {{binary, large}, {"", ""}}});
  CHECK(c.relay().relay().sent == 1);
  REQUIRE(c.producer.sent.size() == 1);
  CHECK(c.producer.sent[0].body == binary);
  CHECK(c.producer.sent[0].headers.at(0) == std::pair{binary, large});
  CHECK(c.producer.sent[0].headers.at(1) == std::pair{std::string{}, std::string{}});
  c.write("k", "fine");
  c.db.execute("UPDATE otlpkit_outbox SET headers = $1 WHERE state = 0", detail::bytes_of("12:too short"));
  c.write("k", "behind");
  const relayed r = c.relay({.name = "hostile"}).relay();
  CHECK(r.parked == 1);
  CHECK(r.sent == 1);
  std::mt19937 random{5};
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes;
    for (auto n = random() % 12; n > 0; --n) bytes += "0123456789:::ab\xff"[random() % 16];
    message_headers headers;
    if (detail::decode_headers(bytes, headers)) CHECK(detail::decode_headers(detail::encode_headers(headers), headers));
  }
}

TEST_CASE("backlog and age are measured, and what was sent stays until it is taken away, or goes at once") {
  recorded out;
  outbox_case c;
  auto relay = c.relay({.name = "measured"});
  CHECK(relay.measure().pending == 0);
  c.write("k", "1");
  now += 1500;
  c.write("k", "2");
  const outbox_backlog b = relay.measure();
  CHECK(b.pending == 2);
  CHECK(b.age == 1500ms);
  CHECK(out.metric("otlpkit.outbox.backlog").at("otlpkit.outbox.name=measured,otlpkit.outbox.state=pending") == 2);
  CHECK(out.metric("otlpkit.outbox.age").at("otlpkit.outbox.name=measured") == 1.5);
  CHECK(relay.relay().sent == 2);
  CHECK(c.count("state = 1") == 2);
  now += 60'000;
  CHECK(relay.erase_sent(61s) == 0);
  CHECK(relay.erase_sent(60s) == 2);
  c.write("k", "3");
  CHECK(c.relay({.keep_sent = false}).relay().sent == 1);
  CHECK(c.count("1 = 1") == 0);
}

TEST_CASE("options that make no sense are refused") {
  outbox_case c;
  CHECK_THROWS_AS(c.relay({.batch = 0}), otlpkit::config_error);
  CHECK_THROWS_AS(c.relay({.lease = 0s}), otlpkit::config_error);
  CHECK_THROWS_AS(c.relay({.max_attempts = 0}), otlpkit::config_error);
  CHECK_THROWS_AS(c.relay({.retry_delay = -1s}), otlpkit::config_error);
  CHECK_THROWS_AS(c.relay({.poll_interval = 0s}), otlpkit::config_error);
  CHECK_THROWS_AS(c.relay({.table = "a b"}), otlpkit::config_error);
  CHECK_THROWS_AS((outbox{{.table = ""}}), otlpkit::config_error);
  CHECK_THROWS_AS(static_cast<void>(dialect_of("mysql")), otlpkit::config_error);
}

TEST_CASE("random histories: whatever fails or dies, first deliveries are in order per key, and nothing is lost") {
  std::mt19937 random{17};
  const auto below = [&random](unsigned n) { return static_cast<unsigned>(random()) % n; };
  for (int round = 0; round < 40; ++round) {
    outbox_case c;
    auto one = c.relay({.batch = 4, .lease = 10s, .max_attempts = 1000, .retry_delay = 1s, .max_retry_delay = 3s});
    auto two = c.relay({.batch = 3, .lease = 10s, .max_attempts = 1000, .retry_delay = 1s, .max_retry_delay = 3s});
    std::map<std::string, int> written;
    for (int step = 0; step < 60; ++step) {
      auto& relay = below(2) == 0 ? one : two;
      switch (below(6)) {
        case 0:
        case 1: {
          const std::string key = "k" + std::to_string(below(3));
          c.write(key, key + ":" + std::to_string(written[key]++));
          if (below(3) == 0)
            c.producer.failures[key + ":" + std::to_string(written[key] - 1)] = static_cast<int>(below(4));
          break;
        }
        case 2:  // dies while it publishes, or before it marks
          c.db.wrapped().fails_at = below(2) == 0 ? "SET state = 1" : "SET attempts";
          try {
            relay.relay();
          } catch (const std::runtime_error&) {
          }
          c.db.wrapped().fails_at = "\x01";
          break;
        case 3: now += below(12'000); break;
        default: relay.relay(); break;
      }
    }
    for (int i = 0; i < 200 && c.count("state = 0") > 0; ++i) {
      now += 11'000;
      one.relay();
    }
    REQUIRE(c.count("state = 0") == 0);
    std::map<std::string, int> next;
    for (const auto& m : c.producer.sent) {
      const auto colon = m.body.find(':');
      const std::string key = m.body.substr(0, colon);
      const int number = std::stoi(m.body.substr(colon + 1));
      REQUIRE(number <= next[key]);  // again, or the next one
      if (number == next[key]) ++next[key];
    }
    REQUIRE(next == written);
  }
}
