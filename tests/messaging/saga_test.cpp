// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/messaging/saga.hpp>
#include <otlpkit/resilience/retry.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"
#include "saga_fixture.hpp"

#include <atomic>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace saga_fixture;

namespace {

// The page's example.
struct order {
  int items = 2, reserved = 0;
  long paid = 0;
  bool carrier_full = false;
};

void reserve(order& o) { o.reserved = o.items; }
void release(order& o) { o.reserved = 0; }
void charge(order& o) { o.paid = 4200; }
void refund(order& o) { o.paid = 0; }
void ship(order& o) {
  if (o.carrier_full) throw std::runtime_error{"no truck"};
}

otlpkit::messaging::saga<order> make_place_order() {
  otlpkit::messaging::saga<order> place{{.name = "order.place"}};
  place.step("reserve", reserve, release);
  place.step("charge", otlpkit::retry_policy{{.max_retry_attempts = 2}}, charge, refund);
  place.step("ship", ship);
  return place;
}
const otlpkit::messaging::saga<order> place_order = make_place_order();

}  // namespace

TEST_CASE("the page's example: a step fails, and those behind it are undone") {
  recorded out;
  order fine, unlucky{.carrier_full = true};
  place_order.run(fine, "o-1");
  CHECK(fine.paid == 4200);
  try {
    place_order.run(unlucky, "o-2");
    FAIL("not thrown");
  } catch (const saga_failed_error& e) {
    CHECK(std::string{e.what()} == "order.place: step ship failed: no truck");
    CHECK(e.step() == "ship");
    CHECK(e.compensated());
    CHECK_THROWS_WITH(std::rethrow_exception(e.cause()), "no truck");
  }
  CHECK(unlucky.paid == 0);
  CHECK(unlucky.reserved == 0);

  const auto spans = out.spans();
  std::vector<std::string> shape;
  for (const auto& s : spans) shape.push_back(s.name);
  CHECK(shape == names{"saga.step reserve", "charge", "saga.step charge", "saga.step ship", "saga.run order.place",
                       "saga.step reserve", "charge", "saga.step charge", "saga.step ship", "charge",
                       "saga.compensate charge", "saga.compensate reserve", "saga.run order.place"});
  const auto& failed = spans.back();
  CHECK(failed.attributes.at("otlpkit.saga.outcome").as_string() == "compensated");
  CHECK(failed.attributes.at("otlpkit.saga.failed_step").as_string() == "ship");
  CHECK(failed.attributes.at("otlpkit.saga.id").as_string() == "o-2");
  CHECK(failed.attributes.at("otlpkit.saga.steps_done").as_int() == 2);
  CHECK(failed.attributes.at("otlpkit.saga.steps_compensated").as_int() == 2);
  CHECK(failed.attributes.at("error.type").as_string() == "std::runtime_error");
  CHECK(spans[4].attributes.at("otlpkit.saga.outcome").as_string() == "completed");
  CHECK_FALSE(spans[4].attributes.contains("otlpkit.saga.failed_step"));
  CHECK(spans[8].attributes.at("error.type").as_string() == "std::runtime_error");
  CHECK_FALSE(spans[10].attributes.contains("error.type"));
  const auto durations = out.metric("otlpkit.saga.duration");
  CHECK(durations.at("otlpkit.saga.name=order.place,otlpkit.saga.outcome=completed") == 1);
  CHECK(durations.at("otlpkit.saga.name=order.place,otlpkit.saga.outcome=compensated") == 1);
  CHECK(out.metric("otlpkit.saga.active").at("otlpkit.saga.name=order.place") == 0);
  CHECK(out.metric("otlpkit.saga.compensations").size() == 2);
}

TEST_CASE("a compensation that fails is reported, recorded, and keeps the others from nothing") {
  recorded out;
  const test_saga s = abc();
  world w;
  w.failures = {{"c", 1}, {"undo b", 1}};
  try {
    s.run(w);
    FAIL("not thrown");
  } catch (const saga_failed_error& e) {
    CHECK(std::string{e.what()} == "abc: step c failed: c failed; b is not undone: undo b failed");
    CHECK_FALSE(e.compensated());
    REQUIRE(e.compensation_failures().size() == 1);
    CHECK(e.compensation_failures()[0].step == "b");
    CHECK_THROWS_WITH(std::rethrow_exception(e.compensation_failures()[0].cause), "undo b failed");
  }
  CHECK(w.done == names{"a", "b", "undo a"});
  const auto spans = out.spans();
  CHECK(recorded::events(recorded::only(spans, "saga.run abc")) == "otlpkit.saga.compensation_failed exception");
  CHECK(recorded::only(spans, "saga.run abc").attributes.at("otlpkit.saga.outcome").as_string() ==
        "compensation_failed");
  CHECK_FALSE(recorded::only(spans, "saga.run abc").attributes.contains("otlpkit.saga.id"));
  CHECK(out.metric("otlpkit.saga.compensations")
            .at("otlpkit.saga.name=abc,otlpkit.saga.outcome=failed,otlpkit.saga.step=b") == 1);
}

TEST_CASE("where it shall stop at a compensation that fails, the rest stays as it is") {
  const test_saga s = abc({.name = "stops", .when_compensation_fails = compensation_policy::stop});
  world w;
  w.failures = {{"c", 1}, {"undo b", 1}};
  CHECK_THROWS_AS(s.run(w), saga_failed_error);
  CHECK(w.done == names{"a", "b"});
}

TEST_CASE("a step that failed is undone itself where it may be half done, and what cannot be undone is passed over") {
  test_saga s{{.name = "half"}};
  add(s, "a");
  add(s, "b", false);
  add(s, "c", true, {.compensate_if_failed = true});
  world w;
  w.failures = {{"c", 1}};
  CHECK_THROWS_AS(s.run(w), saga_failed_error);
  CHECK(w.done == names{"a", "b", "undo c", "undo a"});
}

TEST_CASE("steps and compensations are retried by their strategy, with the same idempotency key") {
  otlpkit::testing::manual_time time;
  const otlpkit::retry_policy twice{{.max_retry_attempts = 1, .time = &time}};
  names told;
  saga<world> s{{.name = "keys"}};
  s.step(
      "a", twice,
      [&](world& w, const saga_step& at) {
        told.push_back(at.idempotency_key());
        if (w.failures["a"]-- > 0) throw std::runtime_error{"once"};
      },
      [&](world& w, const saga_step& at) {
        told.push_back(at.idempotency_key());
        if (w.failures["undo a"]-- > 0) throw std::runtime_error{"once"};
      });
  s.step("kept", twice, [](world&) {});
  add(s, "b");
  world w;
  w.failures = {{"a", 1}, {"undo a", 1}, {"b", 1}};
  try {
    s.run(w, "7");
    FAIL("not thrown");
  } catch (const saga_failed_error& e) {
    CHECK(e.compensated());  // what cannot be undone is passed over under a strategy, too
  }
  CHECK(told == names{"keys/7/a", "keys/7/a", "keys/7/a/compensate", "keys/7/a/compensate"});
}

TEST_CASE("without a journal the state is not turned into text, which could only fail") {
  test_saga s = abc();
  s.keep_state([](const world&) -> std::string { throw std::runtime_error{"no text"}; },
               [](world&, std::string_view) {});
  world w;
  s.run(w);
  CHECK(w.done == names{"a", "b", "c"});
}

TEST_CASE("steps without a name, of the same name, and a saga without one are refused") {
  test_saga s{{.name = "x"}};
  add(s, "a");
  CHECK_THROWS_AS(add(s, "a"), otlpkit::config_error);
  CHECK_THROWS_AS(add(s, ""), otlpkit::config_error);
  CHECK_THROWS_AS(test_saga{{.name = ""}}, otlpkit::config_error);
}

TEST_CASE("one saga is run by many threads at once") {
  const test_saga s = abc();
  memory_saga_journal journal;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0}, failures{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        world w;
        if (i % 3 == 0) w.failures = {{"b", 1}};
        try {
          s.run(w, journal, std::to_string(t) + "-" + std::to_string(i));
          if (w.done != names{"a", "b", "c"}) ++wrong;
        } catch (const saga_failed_error&) {
          ++failures;
          if (w.done != names{"a", "undo a"}) ++wrong;
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(failures == 4 * 34);
}
