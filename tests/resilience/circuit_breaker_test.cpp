// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/resilience/circuit_breaker.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <resilience/down.hpp>
#include <resilience/recorded.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::broken_circuit_error;
using otlpkit::circuit_breaker;
using otlpkit::circuit_breaker_options;
using otlpkit::circuit_state;
using otlpkit::isolated_circuit_error;
using otlpkit::resilience::circuit_reason;
using otlpkit::resilience::circuit_transition;
using otlpkit::testing::manual_time;
using std::chrono::nanoseconds;

namespace {

void fails(const circuit_breaker& b) {
  CHECK_THROWS_AS(b.execute([] { throw down{}; }), down);
}
void succeeds(const circuit_breaker& b) {
  b.execute([] {});
}
bool rejects(const circuit_breaker& b) {
  std::error_code rejected;
  b.execute(rejected, [] {});
  return static_cast<bool>(rejected);
}

/// A breaker with what it told of itself.
struct told {
  manual_time time;
  std::vector<circuit_transition> changes;
  circuit_breaker breaker;
  explicit told(circuit_breaker_options o) : breaker{with(std::move(o))} {}

 private:
  circuit_breaker_options with(circuit_breaker_options o) {
    o.time = &time;
    o.on_transition = [this](const circuit_transition& t) { changes.push_back(t); };
    return o;
  }
};

}  // namespace

TEST_CASE("it opens when the share of failures is reached, and not before enough calls were made") {
  told t{{.failure_ratio = 0.5, .minimum_throughput = 4, .break_duration = 10s}};
  fails(t.breaker), fails(t.breaker), fails(t.breaker);
  CHECK(t.breaker.state() == circuit_state::closed);
  succeeds(t.breaker);
  REQUIRE(t.changes.size() == 1);
  CHECK(t.changes[0].to == circuit_state::open);
  CHECK(t.changes[0].reason == circuit_reason::failure_ratio);
  CHECK(t.changes[0].break_duration == 10s);
}

TEST_CASE("failures that are too long ago do not count") {
  told t{{.failure_ratio = 0.5, .minimum_throughput = 2, .sampling_duration = 10s}};
  fails(t.breaker);
  t.time.advance(10s);
  fails(t.breaker);
  CHECK(t.breaker.state() == circuit_state::closed);
  CHECK(t.breaker.counts().calls == 1);
  t.time.advance(8s);
  fails(t.breaker);
  CHECK(t.breaker.state() == circuit_state::open);
}

TEST_CASE("open, it rejects without calling and says for how long, and a successful trial closes it") {
  told t{{.name = "ml", .failure_ratio = 1, .minimum_throughput = 1, .break_duration = 10s}};
  fails(t.breaker);
  t.time.advance(4s);
  bool called = false;
  try {
    t.breaker.execute([&] { called = true; });
    FAIL("not rejected");
  } catch (const broken_circuit_error& e) {
    CHECK(e.retry_after() == 6s);
    CHECK(e.strategy() == "ml");
    CHECK(std::string{e.what()} == "ml: the circuit is open");
    CHECK(e.code() == otlpkit::rejection::broken_circuit);
  }
  CHECK_FALSE(called);
  t.time.advance(6s);
  succeeds(t.breaker);
  CHECK(t.breaker.state() == circuit_state::closed);
  REQUIRE(t.changes.size() == 3);
  CHECK(t.changes[1].to == circuit_state::half_open);
  CHECK(t.changes[2].reason == circuit_reason::trials_succeeded);
}

TEST_CASE("a break for ever lasts a year") {
  told t{{.consecutive_failures = 1, .break_duration = nanoseconds::max()}};
  fails(t.breaker);
  CHECK(t.changes.at(0).break_duration == 24h * 365);
  CHECK(rejects(t.breaker));
}

TEST_CASE("a trial that fails opens it again, for as long as the generator says") {
  std::vector<int> numbers;
  told t{{.failure_ratio = 1, .minimum_throughput = 1, .break_duration_generator = [&](const auto& b) {
            numbers.push_back(b.number);
            return b.number == 3 ? throw std::logic_error{"no"} : nanoseconds{std::chrono::seconds{b.number}};
          }}};
  fails(t.breaker);
  t.time.advance(1s);
  fails(t.breaker);
  CHECK(t.changes.back().break_duration == 2s);
  CHECK(t.changes.back().reason == circuit_reason::trial_failed);
  CHECK(rejects(t.breaker));
  t.time.advance(2s);
  fails(t.breaker);
  CHECK(t.changes.back().break_duration == 5s);  // a generator that throws leaves the usual duration
  t.time.advance(5s);
  succeeds(t.breaker);
  fails(t.breaker);
  CHECK(numbers == std::vector<int>{1, 2, 3, 1});
}

TEST_CASE("five failures in a row open it for ten seconds, and two successes close it") {
  told t{{.consecutive_failures = 5, .break_duration = 10s, .success_threshold = 2}};
  for (int i = 0; i < 4; ++i) fails(t.breaker);
  succeeds(t.breaker);
  for (int i = 0; i < 200; ++i) fails(t.breaker), fails(t.breaker), succeeds(t.breaker);  // no ratio opens it
  CHECK(t.changes.empty());
  for (int i = 0; i < 5; ++i) fails(t.breaker);
  CHECK(t.changes.at(0).reason == circuit_reason::consecutive_failures);
  t.time.advance(10s - 1ns);
  CHECK(rejects(t.breaker));
  t.time.advance(1ns);
  succeeds(t.breaker);
  CHECK(t.breaker.state() == circuit_state::half_open);
  succeeds(t.breaker);
  CHECK(t.breaker.state() == circuit_state::closed);
}

TEST_CASE("slow calls open it, though they succeed, and a slow trial opens it again") {
  told t{{.minimum_throughput = 2, .slow_call_duration = 100ms, .slow_call_ratio = 0.5, .break_duration = 1s}};
  const auto slow = [&] { t.breaker.execute([&] { t.time.advance(101ms); }); };
  t.breaker.execute([&] { t.time.advance(100ms); });
  slow();
  REQUIRE(t.breaker.state() == circuit_state::open);
  CHECK(t.changes[0].reason == circuit_reason::slow_call_ratio);
  t.time.advance(1s);
  slow();
  CHECK(t.breaker.state() == circuit_state::open);
}

TEST_CASE("half open, no more calls run at once than it permits") {
  told t{{.consecutive_failures = 1, .break_duration = 1s, .half_open_permits = 2, .success_threshold = 2}};
  fails(t.breaker);
  t.time.advance(1s);
  t.breaker.execute([&] {
    t.breaker.execute([&] {
      CHECK(rejects(t.breaker));
      CHECK(t.breaker.state() == circuit_state::half_open);
    });
    CHECK_FALSE(rejects(t.breaker));
  });
  CHECK(t.breaker.state() == circuit_state::closed);

  told one{{.consecutive_failures = 1, .break_duration = 1s, .success_threshold = 2}};
  fails(one.breaker);
  one.time.advance(1s);
  succeeds(one.breaker);  // gives back one place, not two
  one.breaker.execute([&] { CHECK(rejects(one.breaker)); });
  CHECK(one.breaker.state() == circuit_state::closed);
}

TEST_CASE("a trial that hangs loses its place after another break, and what it ends with does not count") {
  told t{{.consecutive_failures = 1, .break_duration = 1s}};
  fails(t.breaker);
  t.time.advance(1s);
  CHECK_THROWS_AS(t.breaker.execute([&] {
    t.time.advance(1s - 1ns);
    CHECK(rejects(t.breaker));
    t.time.advance(1ns);
    CHECK_FALSE(rejects(t.breaker));
    CHECK(t.breaker.state() == circuit_state::closed);
    throw down{};
  }),
                  down);
  CHECK(t.breaker.state() == circuit_state::closed);
}

TEST_CASE("what began before the state changed does not count in the new state") {
  told t{{.consecutive_failures = 1, .break_duration = 1s}};
  CHECK_THROWS_AS(t.breaker.execute([&] {
    fails(t.breaker);
    t.time.advance(1s);
    succeeds(t.breaker);  // the trial
    throw down{};         // of a call from before the circuit opened
  }),
                  down);
  CHECK(t.breaker.state() == circuit_state::closed);
}

TEST_CASE("by hand it is isolated, disabled, only observed, and closed again") {
  told t{{.name = "x", .consecutive_failures = 1}};
  t.breaker.isolate();
  CHECK_THROWS_AS(succeeds(t.breaker), isolated_circuit_error);
  t.time.advance(24h);
  CHECK(rejects(t.breaker));
  t.breaker.isolate();
  CHECK(t.changes.size() == 1);
  t.breaker.disable();
  for (int i = 0; i < 3; ++i) fails(t.breaker);
  CHECK(t.breaker.counts().calls == 0);
  t.breaker.observe_only();
  for (int i = 0; i < 3; ++i) fails(t.breaker);
  CHECK(t.breaker.counts().failures == 3);
  CHECK(t.breaker.state() == circuit_state::metrics_only);
  t.breaker.reset();
  CHECK(t.breaker.counts().calls == 0);
  fails(t.breaker);
  CHECK(t.breaker.state() == circuit_state::open);
  t.breaker.reset();
  CHECK_FALSE(rejects(t.breaker));
}

TEST_CASE("a closed circuit that is reset forgets its failures, and tells nobody") {
  told t{{.consecutive_failures = 2}};
  for (int i = 0; i < 3; ++i) {
    fails(t.breaker);
    t.breaker.reset();
  }
  CHECK(t.breaker.state() == circuit_state::closed);
  CHECK(t.breaker.counts().calls == 0);
  CHECK(t.changes.empty());
}

TEST_CASE("failed results count as failures, exceptions that are not handled as successes, rejections as nothing") {
  told t{{.failure_ratio = 1, .minimum_throughput = 100}};
  CHECK(t.breaker.execute([] { return std::make_error_code(std::errc::io_error); }) == std::errc::io_error);
  CHECK(t.breaker.counts().failures == 1);
  CHECK_THROWS_AS(t.breaker.execute([] { throw otlpkit::rate_limited_error{"limiter"}; }), otlpkit::rate_limited_error);
  CHECK(t.breaker.counts().calls == 1);
  CHECK_THROWS_AS(t.breaker.execute([] { throw otlpkit::timed_out_error{"t"}; }), otlpkit::timed_out_error);
  CHECK(t.breaker.counts().failures == 2);
  told only_down{{.should_handle = otlpkit::resilience::handles<down>()}};
  CHECK_THROWS_AS(only_down.breaker.execute([] { throw std::logic_error{"no"}; }), std::logic_error);
  CHECK(only_down.breaker.counts().calls == 1);
  CHECK(only_down.breaker.counts().failures == 0);
}

TEST_CASE("the form with an error code returns what the call returns, or a code and an empty result") {
  told t{{.consecutive_failures = 1}};
  std::error_code rejected = std::make_error_code(std::errc::io_error);
  CHECK(t.breaker.execute("op", rejected, [] { return std::string{"yes"}; }) == "yes");
  CHECK_FALSE(rejected);
  CHECK_THROWS_AS(static_cast<void>(t.breaker.execute(rejected, []() -> int { throw down{}; })), down);
  CHECK(t.breaker.execute(rejected, [] { return std::string{"yes"}; }).empty());
  CHECK(rejected == otlpkit::rejection::broken_circuit);
  CHECK(rejected.message() == "the circuit is open");
  t.breaker.isolate();
  t.breaker.execute(rejected, [] {});
  CHECK(rejected == otlpkit::rejection::isolated_circuit);
}

TEST_CASE(
    "changes and rejections are events on the span of the call, and metrics tell state, calls and share of failures") {
  recorded out;
  told t{{.name = "ml", .consecutive_failures = 2, .slow_call_duration = 1s, .break_duration = 10s}};
  {
    const otlpkit::span_guard caller{"caller"};
    fails(t.breaker), fails(t.breaker);
    CHECK(rejects(t.breaker));
    t.time.advance(10s);
    succeeds(t.breaker);
  }
  auto spans = out.spans();
  const auto& caller = recorded::only(spans, "caller");
  CHECK(recorded::events(caller) == "on_circuit_opened on_circuit_rejected on_circuit_half_opened on_circuit_closed");
  CHECK(caller.events[0].attributes.at("otlpkit.circuit.reason") == "consecutive_failures");
  CHECK(caller.events[0].attributes.at("otlpkit.circuit.break_duration_ms") == 10'000.0);
  CHECK(caller.events[0].attributes.at("event.severity") == "error");
  CHECK(caller.events[1].attributes.at("error.type") == "broken_circuit");
  CHECK(caller.events[2].attributes.at("event.severity") == "warning");
  CHECK(caller.events[3].attributes.at("event.severity") == "information");

  fails(t.breaker);
  succeeds(t.breaker);
  const auto state = out.metric("otlpkit.circuit.state");
  CHECK(state.at("otlpkit.circuit.name=ml,otlpkit.circuit.state=closed") == 1);
  CHECK(state.at("otlpkit.circuit.name=ml,otlpkit.circuit.state=open") == 0);
  CHECK(out.metric("otlpkit.circuit.failure_ratio").at("otlpkit.circuit.name=ml") == 0.5);
  const auto calls = out.metric("otlpkit.circuit.calls");
  CHECK(calls.at("otlpkit.circuit.name=ml,otlpkit.circuit.outcome=failure") == 3);
  CHECK(calls.at("otlpkit.circuit.name=ml,otlpkit.circuit.outcome=rejected") == 1);
  CHECK(calls.at("otlpkit.circuit.name=ml,otlpkit.circuit.outcome=success") == 2);
  t.breaker.execute([&] { t.time.advance(1s); });
  t.breaker.execute([&] { t.time.advance(1s + 1ns); });
  CHECK(out.metric("otlpkit.circuit.calls").at("otlpkit.circuit.name=ml,otlpkit.circuit.outcome=slow") == 1);

  {
    const otlpkit::span_guard span{"caller isolated"};
    t.breaker.isolate();
    CHECK(rejects(t.breaker));
  }
  spans = out.spans();
  CHECK(recorded::only(spans, "caller isolated").events.at(1).attributes.at("error.type") == "isolated_circuit");
  t.breaker.reset();

  {
    const otlpkit::span_guard span{"caller"};
    t.breaker.isolate(), t.breaker.disable(), t.breaker.observe_only(), t.breaker.reset();
  }
  spans = out.spans();
  CHECK(recorded::events(recorded::only(spans, "caller")) ==
        "on_circuit_isolated on_circuit_disabled on_circuit_metrics_only on_circuit_closed");
}

TEST_CASE("a breaker that is gone leaves no state behind in the metrics") {
  recorded out;
  const auto states = [&] { return out.metric("otlpkit.circuit.state").size(); };
  const std::size_t before = states();
  {
    const told t{{.name = "short-lived"}};
    CHECK(states() == before + 6);
  }
  CHECK(states() == before);
}

TEST_CASE("what on_transition throws does not reach the caller") {
  manual_time time;
  const metric_points::diagnostics said;
  const circuit_breaker breaker{
      {.consecutive_failures = 1, .on_transition = [](const auto&) { throw 1; }, .time = &time}};
  fails(breaker);
  CHECK(said.count("on_transition") == 1);
  fails(circuit_breaker{{.consecutive_failures = 1, .time = &time}});  // there it is not called
  CHECK(said.count("on_transition") == 1);
}

TEST_CASE("settings that make no sense are refused by name, value and what was expected") {
  CHECK_THROWS_WITH_AS(circuit_breaker{{.failure_ratio = 1.5}},
                       "circuit_breaker_options.failure_ratio: got 1.5, expected above 0, at most 1",
                       otlpkit::config_error);
  CHECK_THROWS_WITH_AS(circuit_breaker{{.break_duration = 0s}},
                       "circuit_breaker_options.break_duration: got 0 ns, expected above zero", otlpkit::config_error);
  CHECK_THROWS_AS((circuit_breaker{{.minimum_throughput = 10, .window_size = 9}}), otlpkit::config_error);
  CHECK_THROWS_AS(circuit_breaker{{.minimum_throughput = 0}}, otlpkit::config_error);
  CHECK_THROWS_AS(circuit_breaker{{.consecutive_failures = -1}}, otlpkit::config_error);
  CHECK_THROWS_AS(circuit_breaker{{.slow_call_ratio = 0}}, otlpkit::config_error);
  CHECK_THROWS_AS(circuit_breaker{{.half_open_permits = 0}}, otlpkit::config_error);
  CHECK_THROWS_AS(circuit_breaker{{.success_threshold = 0}}, otlpkit::config_error);
  CHECK_THROWS_AS(circuit_breaker{{.sampling_duration = -1s}}, otlpkit::config_error);
}

namespace {

struct product {
  std::string name;
};
struct product_db {
  bool broken = false;
  product load() const { return broken ? throw std::runtime_error{"connection lost"} : product{"tea"}; }
};

// The example of docs/circuit_breaker.md.
const otlpkit::circuit_breaker db_breaker{{.name = "products-db",
                                           .consecutive_failures = 5,
                                           .break_duration = std::chrono::seconds{10},
                                           .success_threshold = 2}};

product load_product(const product_db& db) {
  try {
    return db_breaker.execute("product.load", [&] { return db.load(); });
  } catch (const otlpkit::broken_circuit_error&) {
    return product{"(not available)"};  // the database was not asked
  }
}

}  // namespace

TEST_CASE("the page's example: after five failures the database is left alone") {
  product_db db;
  CHECK(load_product(db).name == "tea");
  db.broken = true;
  for (int i = 0; i < 5; ++i) CHECK_THROWS_AS(static_cast<void>(load_product(db)), std::runtime_error);
  CHECK(load_product(db).name == "(not available)");
  CHECK(db_breaker.state() == otlpkit::circuit_state::open);
  db_breaker.reset();
}
