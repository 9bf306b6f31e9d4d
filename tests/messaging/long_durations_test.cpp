// SPDX-License-Identifier: MIT
#include <otlpkit/messaging/batch_queue.hpp>
#include <otlpkit/messaging/idempotency_store.hpp>
#include <otlpkit/messaging/memory_broker.hpp>
#include <otlpkit/resilience/hedge_schedule.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

// Durations without end, as somebody writes them who means for ever.
using namespace std::chrono_literals;
using namespace otlpkit::messaging;
using otlpkit::resilience::time_point;
using std::chrono::nanoseconds;

TEST_CASE("a batch that may wait for ever is due when it is full") {
  batch_limits limits;
  limits.max_items = 2;
  limits.max_delay = nanoseconds::max();
  batch_queue<int> queue{limits};
  int item = 1;
  const auto now = time_point{} + 24h;
  queue.offer(item, 0, now);
  CHECK_FALSE(queue.due(now + 8'760h).has_value());
  REQUIRE(queue.due_at().has_value());
  CHECK(*queue.due_at() > now + 8'760h);
  queue.offer(item, 0, now);
  CHECK(queue.due(now) == batch_reason::count);
}

TEST_CASE("a consumer may wait for ever, and messages that are never to come again do not") {
  memory_broker b{{.redeliver_after = nanoseconds::max()}};
  auto one = b.subscribe("t", "g", "one");
  std::thread sender{[&b] {
    std::this_thread::yield();
    b.publish("t", {.body = "1"});
  }};
  CHECK(one->receive(1, std::chrono::milliseconds::max()).size() == 1);
  sender.join();
  CHECK(one->receive(1, 0ms).empty());
}

TEST_CASE("a result that is to be known for ever is") {
  otlpkit::testing::manual_time time;
  time.advance(24h);
  memory_idempotency_store store{{}, time};
  const idempotency_claim one{"n", "k", {}, "one", {}, nanoseconds::max()};
  CHECK(store.begin(one).state == idempotency_state::begun);
  CHECK(store.begin(one).state == idempotency_state::in_progress);
  CHECK(store.finish(one, idempotency_state::succeeded, "done", nanoseconds::max()));
  time.advance(8'760h);
  CHECK(store.begin(one).state == idempotency_state::succeeded);
}

TEST_CASE("a hedge that waits for ever starts no second attempt by time") {
  otlpkit::resilience::hedge_schedule schedule{2, nanoseconds::max()};
  const auto now = time_point{} + 24h;
  CHECK(schedule.start_one(now));
  CHECK_FALSE(schedule.start_one(now + 8'760h));
  CHECK(*schedule.next_start() > now + 8'760h);
}
