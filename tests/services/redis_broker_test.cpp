// SPDX-License-Identifier: MIT
// links: PkgConfig::hiredis
// emits: telemetry
#include <otlpkit/adapters/redis/stream_broker.hpp>
#include <otlpkit/messaging/consumer.hpp>
#include <otlpkit/messaging/producer.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"
#include "support/server_process.hpp"
#include "support/severing_proxy.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;
using otlpkit::redis::connection;
using otlpkit::redis::error;
using otlpkit::redis::stream_broker;

namespace {

support::redis_server& server() {
  static support::redis_server one;
  return one;
}

otlpkit::redis::options here() {
  return {.url = server().url(),
          .connect_timeout = 5000ms,
          .command_timeout = 5000ms,
          .first_back_off = 5ms,
          .max_back_off = 20ms};
}

std::string bodies(const std::vector<message>& all) {
  std::string out;
  for (const auto& m : all) out += m.body + (m.redelivered ? "! " : " ");
  return out;
}

/// Calls until it does not throw.
template <class F>
auto stubbornly(F fn) {
  const auto end = std::chrono::steady_clock::now() + 30s;
  for (;;) {
    try {
      return fn();
    } catch (const error&) {
      if (std::chrono::steady_clock::now() > end) throw;
      std::this_thread::sleep_for(2ms);
    }
  }
}

}  // namespace

TEST_CASE("context goes in the fields of an entry, and the consumer continues the trace") {
  recorded out;
  connection c{here()};
  stream_broker broker{c};
  traced_producer to{broker};
  auto end = broker.subscribe("orders:created", "billing", "one");
  {
    const otlpkit::span_guard caller{"caller"};
    to.publish("orders:created", {.body = std::string("a\0b", 3), .headers = {{"kind", "test"}}});
    to.publish_batch("orders:created", {{.body = "c"}, {.body = "d"}});
  }
  traced_consumer in{*end, {.relation = relation::continued}};
  std::vector<std::string> got;
  CHECK(in.consume([&](const message& m) { got.push_back(m.body); }).processed == 3);
  CHECK(got == std::vector<std::string>{std::string("a\0b", 3), "c", "d"});
  CHECK(in.consume([](const message&) {}, {.wait = 5ms}).received == 0);  // a wait makes no span
  const auto entries = c.command("XRANGE", "orders:created", "-", "+");
  REQUIRE(entries.size() == 3);
  const auto fields = entries[0][1];
  REQUIRE(fields.size() == 6);
  CHECK(fields[0].text() == "body");
  CHECK(fields[2].text() == "kind");
  CHECK(fields[4].text() == "traceparent");

  const auto spans = out.spans();
  const otlpkit::testing::span_record* sent = nullptr;
  std::size_t processed = 0, reads = 0;
  for (const auto& s : spans) {
    if (sent == nullptr && s.name == "send orders:created") sent = &s;
    if (s.name == "process orders:created") {
      if (processed++ == 0) {
        REQUIRE(sent != nullptr);
        CHECK(s.parent_id == sent->span_id);
        CHECK(fields[5].text().find(s.parent_id) != std::string_view::npos);
      }
      CHECK(s.attributes["messaging.consumer.group.name"] == "billing");
    }
    if (s.name.starts_with("XREADGROUP") || s.name == "XAUTOCLAIM") ++reads;
  }
  REQUIRE(sent != nullptr);
  CHECK(sent->attributes["messaging.system"] == "redis");
  CHECK(sent->attributes["server.address"] == "127.0.0.1");
  CHECK(sent->attributes["server.port"] == server().port());
  CHECK(recorded::only(spans, "XADD").parent_id == sent->span_id);
  CHECK(processed == 3);
  CHECK(reads == 0);
  CHECK(recorded::only(spans, "receive orders:created").links.size() == 3);
}

TEST_CASE("consumers of a group share the messages, and take over from one that died") {
  connection c{here()};
  stream_broker broker{c, {.redeliver_after = 30ms}};
  for (const char* body : {"1", "2", "3"}) broker.publish("shared", {.body = body});
  auto other = broker.subscribe("shared", "h", "one");
  CHECK(bodies(other->receive(9, 0ms)) == "1 2 3 ");
  auto two = broker.subscribe("shared", "g", "two");
  {
    auto one = broker.subscribe("shared", "g", "one");
    CHECK(bodies(one->receive(2, 0ms)) == "1 2 ");
    CHECK(bodies(two->receive(9, 0ms)) == "3 ");
  }
  CHECK(two->ack(message{.id = "0-1"}) == 0);
  auto one = broker.subscribe("shared", "g", "one");  // back under its name: what it had, at once
  const auto mine = one->receive(1, 0ms);
  CHECK(bodies(mine) == "1! ");
  CHECK(one->ack(mine) == 1);
  one.reset();
  std::string claimed;
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (claimed.find("2!") == std::string::npos && std::chrono::steady_clock::now() < end)
    claimed += bodies(two->receive(9, 10ms));
  CHECK(claimed.find("2!") != std::string::npos);
}

TEST_CASE("what another did not acknowledge in time comes while a consumer waits, not with its next call") {
  connection c{here()};
  stream_broker broker{c, {.redeliver_after = 200ms}};
  broker.publish("overdue", {.body = "a"});
  auto one = broker.subscribe("overdue", "g", "one"), two = broker.subscribe("overdue", "g", "two");
  CHECK(bodies(one->receive(9, 0ms)) == "a ");
  const auto begun = std::chrono::steady_clock::now();
  CHECK(bodies(two->receive(9, 30s)) == "a! ");
  CHECK(std::chrono::steady_clock::now() - begun < 15s);
  CHECK(two->receive(9, 150ms).empty());
  CHECK(std::chrono::steady_clock::now() - begun >= 150ms);
}

TEST_CASE("what was on its way when the connection broke is this consumer's, and comes with its next call") {
  connection c{here()};
  const support::severing_proxy proxy{server().port(), "\r\n>\r\n", support::severing_proxy::fate::unanswered};
  otlpkit::redis::options there = here();
  there.url = "redis://127.0.0.1:" + std::to_string(proxy.port());
  connection through{there};
  stream_broker broker{c}, from{through};
  broker.publish("cut", {.body = "a"});
  auto one = from.subscribe("cut", "g", "one");
  CHECK_THROWS_AS(static_cast<void>(one->receive(9, 0ms)), error);
  CHECK(bodies(one->receive(9, 0ms)) == "a! ");
}

TEST_CASE("entries that were trimmed away do not come again") {
  connection c{here()};
  stream_broker broker{c, {.redeliver_after = 1ms}};
  for (int i = 0; i < 3; ++i) broker.publish("trimmed", {.body = std::to_string(i)});
  auto one = broker.subscribe("trimmed", "g", "one");
  CHECK(one->receive(3, 0ms).size() == 3);
  static_cast<void>(c.command("XTRIM", "trimmed", "MAXLEN", 1));
  auto again = broker.subscribe("trimmed", "g", "one");
  CHECK(bodies(again->receive(9, 0ms)) == "2! ");
  CHECK(c.command("XPENDING", "trimmed", "g")[0].integer() == 1);
}

TEST_CASE("a server that lost everything: the group is made again, and what is new is delivered") {
  connection c{here()};
  stream_broker broker{c};
  auto one = broker.subscribe("lost", "g", "one");
  CHECK(one->receive(9, 0ms).empty());
  static_cast<void>(c.command("FLUSHALL"));
  broker.publish("lost", {.body = "new"});
  CHECK(bodies(one->receive(9, 0ms)) == "new ");
}

TEST_CASE("a stream that is none is a clear error") {
  connection c{here()};
  stream_broker broker{c};
  static_cast<void>(c.command("SET", "text", "x"));
  CHECK_THROWS_AS(broker.publish("text", {.body = "a"}), error);
  CHECK_THROWS_AS(broker.publish_batch("text", {{.body = "a"}}), error);
  CHECK_THROWS_AS(static_cast<void>(broker.subscribe("text", "g", "one")->receive(1, 0ms)), error);
}

TEST_CASE("a server that dies and comes back in mid-use: no message that was sent is lost") {
  recorded out;
  constexpr int count = 300;
  std::mutex mutex;
  std::map<std::string, int> handled;
  std::atomic<bool> done{false};
  const auto consume = [&](const char* name) {
    connection c{here()};
    stream_broker broker{c, {.redeliver_after = 50ms}};
    auto end = broker.subscribe("dying", "g", name);
    traced_consumer in{*end, {.relation = relation::continued}};
    while (!done) {
      try {
        in.consume(
            [&](const message& m) {
              const std::lock_guard lock{mutex};
              ++handled[m.body];
            },
            {.most = 7, .wait = 10ms});
      } catch (const error&) {
        std::this_thread::sleep_for(2ms);
      }
    }
  };
  std::thread one{[&] { consume("one"); }}, two{[&] { consume("two"); }};
  std::thread sending{[&] {
    connection c{here()};
    stream_broker broker{c};
    traced_producer to{broker};
    for (int i = 0; i < count; ++i) stubbornly([&] { return to.publish("dying", {.body = std::to_string(i)}); });
  }};
  const auto size = [&] {
    const std::lock_guard lock{mutex};
    return handled.size();
  };
  for (int at = 50; at <= 200; at += 75) {
    while (size() < static_cast<std::size_t>(at)) std::this_thread::sleep_for(1ms);
    server().kill();
    server().start();
  }
  sending.join();
  const auto end = std::chrono::steady_clock::now() + 30s;
  connection c{here()};
  const auto settled = [&] {
    return size() == count && stubbornly([&] { return c.command("XPENDING", "dying", "g")[0].integer(); }) == 0;
  };
  while (!settled() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(5ms);
  CHECK(settled());
  done = true;
  one.join();
  two.join();
  CHECK(size() == count);
}
