// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
// emits: telemetry
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/messaging/outbox_relay.hpp>

#include <doctest/doctest.h>

#include "outbox_fixture.hpp"
#include "resilience/recorded.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <stop_token>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using namespace outbox_fixture;

TEST_CASE("errors of the database are thrown, and on the relay's span, wherever they happen") {
  recorded out;
  outbox_case c;
  c.write("k", "1");
  auto relay = c.relay({.name = "broken"});
  for (const char* at : {"LIMIT 1", "LIMIT $2", "RETURNING", "SET state = 1"}) {
    c.db.wrapped().fails_at = at;
    CHECK_THROWS_WITH(relay.relay(), "the database is gone");
    now += 60'000;
  }
  c.db.wrapped().fails_at = "\x01";
  CHECK(c.producer.sent.size() == 1);
  CHECK(relay.relay().sent == 1);
  int failed = 0;
  for (const auto& s : out.spans()) failed += s.name == "outbox.relay broken" && s.attributes.contains("error.type");
  CHECK(failed == 4);
}

TEST_CASE("run() sends though the backlog cannot be measured, and says what fails") {
  static std::atomic<int> said{0};
  const auto before = otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view message) {
    said += message == "outbox.relay unmeasured: the database is gone";
  });
  recorded out;
  outbox_case c;
  c.write("k", "1");
  c.db.wrapped().fails_at = "SELECT COUNT";
  std::stop_source stop;
  struct once : otlpkit::resilience::time_source {
    std::stop_source& stop;
    explicit once(std::stop_source& s) : stop{s} {}
    otlpkit::resilience::nanoseconds timer_for(otlpkit::resilience::nanoseconds) override {
      stop.request_stop();
      return {};
    }
  } waits{stop};
  c.relay({.name = "unmeasured", .time = &waits}).run(stop.get_token());
  static_cast<void>(otlpkit::on_diagnostic(before));
  CHECK(c.producer.bodies() == "1");
  CHECK(said == 1);
  const auto spans = out.spans();
  CHECK(std::count_if(spans.begin(), spans.end(),
                      [](const auto& s) { return s.name == "outbox.relay unmeasured" && s.is_error(); }) == 1);
}

TEST_CASE("run() goes on over failures of the database, and ends when it is asked to") {
  outbox_case c;
  c.write("k", "1");
  std::stop_source stop;
  c.db.wrapped().fails_at = "RETURNING";
  int calls = 0;
  struct counting : otlpkit::resilience::time_source {
    std::function<void()> each;
    otlpkit::resilience::nanoseconds timer_for(otlpkit::resilience::nanoseconds) override {
      each();
      return {};
    }
  } waits;
  waits.each = [&] {
    if (++calls == 2) c.db.wrapped().fails_at = "\x01";
    if (calls == 4) stop.request_stop();
  };
  c.relay({.time = &waits}).run(stop.get_token());
  CHECK(c.producer.bodies() == "1");
  CHECK(calls == 4);
}

TEST_CASE("being asked to stop ends the waiting of run(), too") {
  outbox_case c;
  struct watched : otlpkit::resilience::time_source {
    std::promise<void> waits;
    otlpkit::resilience::nanoseconds timer_for(otlpkit::resilience::nanoseconds d) override {
      waits.set_value();
      return d;
    }
  } time;
  auto relay = c.relay({.poll_interval = 60s, .time = &time});
  std::stop_source stop;
  const auto over = std::async(std::launch::async, [&] { relay.run(stop.get_token()); });
  time.waits.get_future().wait();
  stop.request_stop();
  CHECK(over.wait_for(20s) == std::future_status::ready);
}

TEST_CASE("delays of years are no delays in the past") {
  outbox_case c;
  c.write("k", "1");
  c.db.execute("UPDATE otlpkit_outbox SET attempts = 40");
  c.producer.failures["1"] = 1;
  CHECK(c.relay({.max_attempts = 99, .retry_delay = 24h, .max_retry_delay = 24h * 365 * 100}).relay().failed == 1);
  CHECK(c.count("available_at - " + std::to_string(now) + " = " +
                std::to_string(std::int64_t{365} * 100 * 86'400'000)) == 1);
}
