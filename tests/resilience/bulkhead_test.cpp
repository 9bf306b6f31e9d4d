// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/resilience/bulkhead.hpp>
#include <otlpkit/resilience/pipeline.hpp>
#include <otlpkit/resilience/timeout.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <resilience/recorded.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <latch>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::bulkhead;
using otlpkit::bulkhead_full_error;
using otlpkit::timed_out_error;
using otlpkit::timeout;
using otlpkit::resilience::bulkhead_place;
using otlpkit::resilience::bulkhead_queue;
using otlpkit::testing::manual_time;
using answer = otlpkit::resilience::bulkhead_queue::answer;

TEST_CASE("so many go in, so many wait, the rest is turned away, and who leaves makes room for one that waits") {
  bulkhead_queue queue{2, 1, true};
  std::array<bulkhead_place, 4> p;
  CHECK(queue.enter(p[0]) == answer::admitted);
  CHECK(queue.enter(p[1]) == answer::admitted);
  CHECK(queue.enter(p[2], false) == answer::full);
  CHECK(queue.enter(p[2]) == answer::queued);
  CHECK(queue.enter(p[3]) == answer::full);
  CHECK((queue.active() == 2 && queue.queued() == 1));
  CHECK(queue.leave() == &p[2]);
  CHECK_FALSE(queue.give_up(p[2]));  // too late: it is in
  CHECK((queue.active() == 2 && queue.queued() == 0));
  CHECK(queue.leave() == nullptr);
  CHECK(queue.leave() == nullptr);
  CHECK(queue.active() == 0);
}

TEST_CASE("whatever happens in whatever order, a bulkhead does what a plain list would") {
  std::mt19937_64 random{42};
  for (int round = 0; round < 3000; ++round) {
    const std::size_t limit = 1 + random() % 4, queue_limit = random() % 5;
    const bool fair = random() % 2 == 0;
    bulkhead_queue queue{limit, queue_limit, fair};
    std::array<bulkhead_place, 16> places;
    std::deque<std::size_t> waiting, in;
    for (int step = 0; step < 100; ++step) {
      const std::size_t who = random() % places.size();
      const bool waits = std::count(waiting.begin(), waiting.end(), who) > 0;
      const bool is_in = std::count(in.begin(), in.end(), who) > 0;
      if (waits) {
        if (random() % 3 != 0) continue;
        REQUIRE(queue.give_up(places[who]));
        std::erase(waiting, who);
      } else if (is_in) {
        std::erase(in, who);
        bulkhead_place* expected = nullptr;
        if (!waiting.empty()) {
          const std::size_t next = fair ? waiting.front() : waiting.back();
          fair ? waiting.pop_front() : waiting.pop_back();
          in.push_back(next);
          expected = &places[next];
        }
        REQUIRE(queue.leave() == expected);
      } else {
        const answer expected = in.size() < limit              ? answer::admitted
                                : waiting.size() < queue_limit ? answer::queued
                                                               : answer::full;
        REQUIRE(queue.enter(places[who]) == expected);
        if (expected == answer::admitted) in.push_back(who);
        if (expected == answer::queued) waiting.push_back(who);
      }
      REQUIRE((queue.active() == in.size() && queue.queued() == waiting.size()));
    }
  }
}

TEST_CASE("a full bulkhead rejects at once or after the wait, tells which, and lets in again when a call is over") {
  recorded out;
  manual_time time;
  const bulkhead none{{.name = "none", .max_concurrent_calls = 1, .time = &time}};
  const bulkhead some{{.name = "some", .max_concurrent_calls = 1, .queue_limit = 1, .max_wait = 200ms, .time = &time}};
  CHECK(none.describe() == "bulkhead(1 at once)");
  CHECK(some.describe() == "bulkhead(1 at once, queue 1 for 200 ms)");
  CHECK(bulkhead{{.max_concurrent_calls = 1, .queue_limit = 2}}.describe() == "bulkhead(1 at once, queue 2)");
  CHECK(bulkhead{{.max_concurrent_calls = 1, .max_wait = 1s}}.describe() == "bulkhead(1 at once)");
  {
    const otlpkit::span_guard caller{"caller"};
    none.execute("outer", [&] {
      some.execute("outer", [&] {
        CHECK_THROWS_AS(none.execute("inner", [] { FAIL("full"); }), bulkhead_full_error);
        CHECK_THROWS_AS(some.execute("inner", [] { FAIL("full"); }), bulkhead_full_error);
        CHECK((some.active() == 1 && some.queued() == 0));
        const auto gauge = out.metric("otlpkit.bulkhead.active");
        CHECK(gauge.at("otlpkit.bulkhead.name=none") == 1);
      });
    });
    CHECK_THROWS_AS(none.execute([]() { throw std::runtime_error{"x"}; }), std::runtime_error);
    CHECK(none.execute([] { return 7; }) == 7);
  }
  CHECK(time.take_waits() == std::vector<otlpkit::resilience::nanoseconds>{200ms});
  const auto spans = out.spans();
  const auto& events = spans.at(0).events;
  REQUIRE(events.size() == 2);
  CHECK(events[0].attributes.at("otlpkit.bulkhead.reason") == "full");
  CHECK(events[1].attributes.at("otlpkit.bulkhead.reason") == "waited");
  CHECK(out.metric("otlpkit.bulkhead.limit").at("otlpkit.bulkhead.name=some") == 1);
  CHECK(out.metric("otlpkit.bulkhead.queued").at("otlpkit.bulkhead.name=some") == 0);
}

TEST_CASE("threads that wait go in one by one, never more at once than may, and none is lost") {
  recorded out;
  const bulkhead gate{{.max_concurrent_calls = 3, .queue_limit = 100}};
  std::atomic<int> in{0}, most{0}, done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const otlpkit::span_guard caller{"caller"};
        gate.execute([&] {
          const int now = ++in;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
          }
          std::this_thread::yield();
          --in;
          ++done;
        });
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(done == 4000);
  CHECK(most <= 3);
  CHECK((gate.active() == 0 && gate.queued() == 0));
}

TEST_CASE("a thread that waited says how long, and none waits beyond its deadline") {
  recorded out;
  const bulkhead gate{{.max_concurrent_calls = 1, .queue_limit = 1, .max_wait = 60s}};
  std::latch inside{1};
  std::atomic<bool> go{false};
  std::thread holder{[&] {
    gate.execute([&] {
      inside.count_down();
      while (!go || gate.queued() == 0) std::this_thread::yield();
    });
  }};
  inside.wait();
  const otlpkit::pipeline calls{"calls", gate};
  {
    const otlpkit::span_guard caller{"caller"};
    {
      const otlpkit::deadline_scope now{0s};
      CHECK_THROWS_AS(calls.execute("caller.op", [] {}), bulkhead_full_error);
    }
    {
      const otlpkit::deadline_scope soon{1ms};
      CHECK_THROWS_AS(gate.execute([] {}), bulkhead_full_error);
    }
    go = true;
    CHECK(calls.execute("caller.op", [] { return 1; }) == 1);
  }
  holder.join();
  const auto spans = out.spans();
  CHECK(recorded::events(spans.at(0)) ==
        "on_bulkhead_rejected pipeline_executed on_bulkhead_rejected on_bulkhead_waited pipeline_executed");
  for (const std::size_t told : {0u, 3u}) {
    CHECK(spans[0].events[told].attributes.at("pipeline.name") == "calls");
    CHECK(spans[0].events[told].attributes.at("operation.key") == "caller.op");
  }
}

TEST_CASE("a bulkhead for no call at all is refused") {
  CHECK_THROWS_AS(bulkhead{{.max_concurrent_calls = 0}}, otlpkit::config_error);
}

TEST_CASE("a blocking call has the deadline, and what comes too late is passed on and told") {
  recorded out;
  manual_time time;
  const timeout limit{{.name = "attempt_timeout", .limit = 2s, .time = &time}};
  CHECK(limit.describe() == "attempt_timeout: timeout(2 s)");
  CHECK(timeout{30s}.describe() == "timeout(30 s)");
  {
    const otlpkit::span_guard caller{"caller"};
    limit.execute([] { CHECK((*otlpkit::time_left() <= 2s && *otlpkit::time_left() > 1s)); });
    CHECK_FALSE(otlpkit::time_left().has_value());
    limit.execute("in time", [&] { time.advance(2s); });
    CHECK(limit.execute("slow", [&] { return time.advance(3s), 5; }) == 5);
    CHECK_THROWS_AS(limit.execute("slow", [&] { time.advance(3s), throw std::logic_error{"x"}; }), std::logic_error);
    const otlpkit::deadline_scope over{0s};
    CHECK_THROWS_AS(limit.execute("slow", [] { FAIL("there is no time left"); }), timed_out_error);
  }
  const auto spans = out.spans();
  const auto& events = spans.at(0).events;
  REQUIRE(events.size() == 3);
  CHECK(events[0].name == "on_timeout");
  CHECK(events[0].attributes.at("otlpkit.timeout.late") == true);
  CHECK(events[0].attributes.at("otlpkit.timeout.took_ms").as_double() == 3000);
  CHECK(events[2].attributes.at("otlpkit.timeout.late") == false);
}

TEST_CASE("the caller's deadline shortens a timeout, and a longer timeout changes nothing") {
  const otlpkit::deadline_scope outer{1s};
  timeout{1h}.execute([] { CHECK(*otlpkit::time_left() <= 1s); });
  CHECK_THROWS_AS(timeout{0s}, otlpkit::config_error);
}

namespace {

const otlpkit::bulkhead reports{{.name = "reports", .max_concurrent_calls = 2}};

std::string report(int depth) {
  try {
    return reports.execute("report.render", [&] { return depth == 0 ? "rendered" : report(depth - 1); });
  } catch (const otlpkit::bulkhead_full_error&) {
    return "busy, come back later";
  }
}

const otlpkit::timeout attempt_timeout{{.name = "attempt_timeout", .limit = std::chrono::milliseconds{200}}};

std::string price(std::string_view product) {
  return attempt_timeout.execute("price.load", [&] {
    const auto left = otlpkit::time_left();  // for the socket's own timeout, and for the next service
    return std::string{product} + (left && *left <= std::chrono::milliseconds{200} ? " in time" : " at leisure");
  });
}

}  // namespace

TEST_CASE("the page's example: the third report at once is turned away") {
  CHECK(report(1) == "rendered");
  CHECK(report(2) == "busy, come back later");
}

TEST_CASE("the page's example: a blocking call knows how long it is wanted") { CHECK(price("tea") == "tea in time"); }
