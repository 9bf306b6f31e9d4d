// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/resilience/retry.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <resilience/recorded.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::backoff;
using otlpkit::jitter;
using otlpkit::retry_budget;
using otlpkit::retry_options;
using otlpkit::retry_policy;
using otlpkit::resilience::outcome;
using otlpkit::resilience::retry_attempt;
using otlpkit::resilience::retry_machine;
using otlpkit::resilience::retry_stop;
using otlpkit::testing::manual_time;
using std::chrono::nanoseconds;

namespace {

struct busy : std::runtime_error {
  busy() : std::runtime_error{"busy"} {}
};
struct asks_to_wait : otlpkit::rejected_error {
  explicit asks_to_wait(nanoseconds d) : rejected_error{otlpkit::rejection::rate_limited, "far end", "slow down", d} {}
};

using list = std::vector<nanoseconds>;

/// Like std::expected, which C++20 does not have.
struct answer {
  int number = 0;
  std::error_code problem{};
  [[nodiscard]] bool has_value() const { return !problem; }
  [[nodiscard]] const std::error_code& error() const { return problem; }
};

}  // namespace

TEST_CASE("a call is made once and as many times more as it may be retried, with the delays in between") {
  manual_time time;
  int calls = 0;
  const retry_policy policy{
      {.max_retry_attempts = 2, .growth = backoff::exponential, .delay = 200ms, .chance = jitter::none, .time = &time}};
  CHECK_THROWS_AS(policy.execute([&] { ++calls, throw busy{}; }), busy);
  CHECK(calls == 3);
  CHECK(time.take_waits() == list{200ms, 400ms});

  calls = 0;
  CHECK(otlpkit::retry(policy, "work", [&] { return ++calls < 3 ? throw busy{} : calls; }) == 3);
  CHECK(time.take_waits().size() == 2);
  const retry_policy never{{.max_retry_attempts = 0, .time = &time}};
  CHECK_THROWS_AS(never.execute([]() -> int { throw busy{}; }), busy);
  CHECK(time.take_waits().empty());
}

TEST_CASE("what is returned passes through: nothing, references, values that can only be moved") {
  const retry_policy policy;
  int x = 1;
  policy.execute([] {});
  CHECK(&policy.execute([&]() -> int& { return x; }) == &x);
  CHECK(*policy.execute([] { return std::make_unique<int>(3); }) == 3);
}

TEST_CASE("only outcomes the policy handles are retried, results among them") {
  manual_time time;
  int calls = 0;
  const retry_policy only_busy{{.should_handle = otlpkit::resilience::handles<busy>(), .time = &time}};
  CHECK_THROWS_AS(only_busy.execute([&] { ++calls, throw std::logic_error{"no"}; }), std::logic_error);
  CHECK(calls == 1);
  const retry_policy until_five{
      {.max_retry_attempts = 9,
       .should_handle = [](const outcome& o) { return o.result<int>() && *o.result<int>() < 5; },
       .time = &time}};
  calls = 0;
  CHECK(until_five.execute([&] { return ++calls; }) == 5);
}

TEST_CASE("a result that says it is an error is retried, and the last one is returned") {
  manual_time time;
  const retry_policy policy{{.max_retry_attempts = 2, .time = &time}};
  int calls = 0;
  const auto code = policy.execute([&] { return ++calls, std::make_error_code(std::errc::timed_out); });
  CHECK(code == std::errc::timed_out);
  CHECK(calls == 3);
  const auto made = policy.execute([&] { return answer{++calls, calls < 5 ? code : std::error_code{}}; });
  CHECK(made.number == 5);
}

TEST_CASE("calls that were cancelled, and circuits opened by hand, are not retried") {
  retry_options options;
  retry_machine machine{options};
  CHECK(machine.ended(outcome{std::make_exception_ptr(busy{}), true}, {}).stop == retry_stop::not_handled);
  retry_machine other{options};
  CHECK(other.ended(outcome{std::make_exception_ptr(otlpkit::isolated_circuit_error{"x"})}, {}).stop ==
        retry_stop::not_handled);
  options.should_handle = [](const outcome&) { return true; };
  retry_machine all{options};
  CHECK(all.ended(outcome{std::make_exception_ptr(busy{}), true}, {}).stop == retry_stop::not_handled);
}

TEST_CASE("what the outcome asks for is waited, unless that is longer than any delay may be") {
  manual_time time;
  const auto fails_first = [calls = 0](nanoseconds asked) mutable {
    return [&calls, asked] { return calls++ == 0 ? throw asks_to_wait{asked} : calls; };
  };
  const retry_policy policy{{.delay = 1s, .max_delay = 30s, .time = &time}};
  auto first = fails_first, second = fails_first, third = fails_first;
  CHECK(policy.execute(first(7s)) == 2);
  CHECK(time.take_waits() == list{7s});
  CHECK(policy.execute(second(1ms)) == 2);
  CHECK(time.take_waits() == list{1s});
  CHECK_THROWS_AS(static_cast<void>(policy.execute(third(31s))), asks_to_wait);
  CHECK(time.take_waits().empty());
  struct later : std::error_code {  // a result may ask, too
    [[nodiscard]] static std::optional<nanoseconds> retry_after() { return 8s; }
  };
  int calls = 0;
  policy.execute([&] { return calls++ == 0 ? later{std::make_error_code(std::errc::timed_out)} : later{}; });
  CHECK(time.take_waits() == list{8s});
}

TEST_CASE("a delay generator has the last word, and on_retry hears of every retry") {
  manual_time time;
  std::vector<int> heard;
  const retry_policy policy{{.max_retry_attempts = 3,
                             .delay = 1s,
                             .delay_generator = [](const retry_attempt& a) -> std::optional<nanoseconds> {
                               if (a.number == 1) return 5s;
                               if (a.number == 2) return -1s;  // not into the past
                               return std::nullopt;
                             },
                             .on_retry = [&](const retry_attempt& a) { heard.push_back(a.number); },
                             .time = &time}};
  CHECK_THROWS_AS(policy.execute([] { throw busy{}; }), busy);
  CHECK(time.take_waits() == list{5s, 0s, 1s});
  CHECK(heard == std::vector<int>{1, 2, 3});
}

TEST_CASE("no retry begins after the deadline of the task") {
  manual_time time;
  const retry_policy policy{{.max_retry_attempts = 100, .delay = 1h, .time = &time}};
  const otlpkit::deadline_scope deadline{30min};
  int calls = 0;
  CHECK_THROWS_AS(policy.execute([&] { ++calls, throw busy{}; }), busy);
  CHECK(calls == 1);
  CHECK(time.take_waits().empty());
}

TEST_CASE("a budget that is half spent lets no retry through, and successes refill it") {
  manual_time time;
  const retry_budget budget{{.max_tokens = 4, .token_ratio = 1}};
  const retry_policy policy{{.max_retry_attempts = 10, .budget = budget, .time = &time}};
  int calls = 0;
  CHECK_THROWS_AS(policy.execute([&] { ++calls, throw busy{}; }), busy);
  CHECK(calls == 2);  // four tokens, then three, then two: that is half
  CHECK_THROWS_AS(policy.execute([&] { ++calls, throw busy{}; }), busy);
  CHECK(calls == 3);  // first attempts are always made
  for (int i = 0; i < 100; ++i) budget.failed();
  CHECK(budget.tokens() == 0);
  for (int i = 0; i < 10; ++i) policy.execute([] {});
  CHECK(budget.tokens() == 4);
  const retry_policy picky{{.should_handle = otlpkit::resilience::handles<busy>(), .budget = budget, .time = &time}};
  budget.failed();
  CHECK_THROWS_AS(picky.execute([] { throw std::logic_error{"no"}; }), std::logic_error);
  CHECK(budget.tokens() == 3);  // a failure that nobody would retry is no success
}

TEST_CASE("each attempt is a sibling span with its number, and the last says why there is no other") {
  recorded out;
  manual_time time;
  const retry_policy policy{{.name = "payment",
                             .max_retry_attempts = 2,
                             .growth = backoff::exponential,
                             .delay = 200ms,
                             .chance = jitter::none,
                             .time = &time}};
  {
    const otlpkit::span_guard caller{"caller"};
    CHECK_THROWS_AS(otlpkit::retry(policy, "payment.gateway_call", [] { throw busy{}; }), busy);
  }
  const auto spans = out.spans();
  REQUIRE(spans.size() == 4);
  const auto& caller = spans[3];
  for (int i = 0; i < 3; ++i) {
    const auto& s = spans[static_cast<std::size_t>(i)];
    CHECK(s.name == "payment.gateway_call");
    CHECK(s.parent_id == caller.span_id);
    CHECK(s.is_error());
    CHECK(s.attributes.at("otlpkit.retry.attempt") == i + 1);
    CHECK(s.attributes.at("otlpkit.retry.max_attempts") == 3);
    CHECK(s.attributes.at("otlpkit.retry.handled") == true);
    CHECK(s.attributes.contains("otlpkit.retry.delay_ms") == (i > 0));
    CHECK(s.attributes.contains("otlpkit.retry.stopped_by") == (i == 2));
    CHECK(s.attributes.at("error.type").as_string().find("busy") != std::string::npos);
  }
  CHECK(spans[2].attributes.at("otlpkit.retry.delay_ms") == 400.0);
  CHECK(spans[2].attributes.at("otlpkit.retry.stopped_by") == "max_attempts");
  CHECK_FALSE(caller.is_error());
  CHECK(recorded::events(caller) == "on_retry on_retry");
  CHECK(caller.events[1].attributes.at("otlpkit.retry.delay_ms") == 400.0);
  CHECK(caller.events[1].attributes.at("strategy.name") == "payment");
  CHECK(caller.events[1].attributes.at("event.severity") == "warning");

  const retry_policy once{{.name = "once", .max_retry_attempts = 0}};
  once.execute([] {});
  CHECK(once.execute("returned", [] { return std::make_error_code(std::errc::io_error); }) == std::errc::io_error);
  const auto alone = out.spans();
  const auto& well = recorded::only(alone, "once");  // where the operation has no name
  CHECK_FALSE(well.is_error());
  CHECK_FALSE(well.attributes.contains("otlpkit.retry.handled"));
  CHECK_FALSE(well.attributes.contains("otlpkit.retry.stopped_by"));
  CHECK(recorded::only(alone, "returned").is_error());
}

TEST_CASE("calls, attempts and events are counted, under names that tell policy and operation") {
  recorded out;
  manual_time time;
  const retry_policy policy{{.name = "p", .max_retry_attempts = 1, .budget = retry_budget{}, .time = &time}};
  int calls = 0;
  otlpkit::retry(policy, "caller.op", [&] { return ++calls; });
  otlpkit::retry(policy, "caller.op", [&] { return ++calls % 2 ? 1 : throw otlpkit::timed_out_error{"t"}; });
  CHECK_THROWS_AS(otlpkit::retry(policy, "lost.op", [] { throw busy{}; }), busy);
  const retry_policy picky{{.name = "p", .should_handle = otlpkit::resilience::handles<busy>(), .time = &time}};
  CHECK_THROWS_AS(otlpkit::retry(picky, "lost.op", [] { throw otlpkit::timed_out_error{"t"}; }),
                  otlpkit::timed_out_error);
  static_cast<void>(out.spans());
  const auto ended = out.metric("otlpkit.retry.calls");
  CHECK(ended.size() == 4);
  CHECK(ended.at("operation.key=lost.op,otlpkit.retry.outcome=failure_with_retry,strategy.name=p") == 1);
  CHECK(ended.at("operation.key=lost.op,otlpkit.retry.outcome=failure_without_retry,strategy.name=p") == 1);
  CHECK(ended.at("operation.key=caller.op,otlpkit.retry.outcome=success_without_retry,strategy.name=p") == 1);
  CHECK(ended.at("operation.key=caller.op,otlpkit.retry.outcome=success_with_retry,strategy.name=p") == 1);
  const auto attempts = out.metric("otlpkit.resilience.attempt.duration");
  CHECK(attempts.at(
            "attempt.handled=true,attempt.number=1,error.type=timed_out,operation.key=caller.op,strategy.name=p") == 1);
  const auto events = out.metric("otlpkit.resilience.events");
  CHECK(
      events.at(
          "error.type=timed_out,event.name=on_retry,event.severity=warning,operation.key=caller.op,strategy.name=p") ==
      1);
  CHECK(events.at("event.name=execution_attempt,event.severity=information,operation.key=caller.op,strategy.name=p") ==
        2);
  CHECK(events.at("error.type=timed_out,event.name=execution_attempt,event.severity=error,operation.key=lost.op,"
                  "strategy.name=p") == 1);
  CHECK(out.metric("otlpkit.retry.budget.tokens").at("otlpkit.retry.budget.name=default") > 7);
}

TEST_CASE("an event can be given another severity, and with none it is not told") {
  recorded out;
  manual_time time;
  const retry_policy silent{{.name = "silent",
                             .max_retry_attempts = 1,
                             .severity =
                                 [](const otlpkit::resilience::event& e) noexcept {
                                   return e.name == "on_retry" ? otlpkit::resilience::event_severity::none
                                                               : otlpkit::resilience::event_severity::critical;
                                 },
                             .time = &time}};
  {
    const otlpkit::span_guard caller{"caller"};
    CHECK_THROWS_AS(silent.execute("caller.x", [] { throw busy{}; }), busy);
  }
  CHECK(recorded::events(recorded::only(out.spans(), "caller")).empty());
  for (const auto& [labels, n] : out.metric("otlpkit.resilience.events")) {
    if (labels.find("strategy.name=silent") == labels.npos) continue;
    CHECK(labels.find("on_retry") == labels.npos);
    CHECK(labels.find("event.severity=critical") != labels.npos);
  }
}

TEST_CASE("settings that make no sense are refused by name, value and what was expected") {
  CHECK_THROWS_WITH_AS(retry_policy{{.max_retry_attempts = -1}},
                       "retry_options.max_retry_attempts: got -1, expected zero or more", otlpkit::config_error);
  CHECK_THROWS_AS(retry_policy{{.delay = -1ns}}, otlpkit::config_error);
  CHECK_THROWS_AS(retry_policy{{.max_delay = -1s}}, otlpkit::config_error);
  CHECK_THROWS_AS(retry_budget{{.max_tokens = 0}}, otlpkit::config_error);
  CHECK_THROWS_AS(retry_budget{{.max_tokens = 1e300}}, otlpkit::config_error);
  CHECK_THROWS_AS(retry_budget{{.token_ratio = -1}}, otlpkit::config_error);
  CHECK(retry_policy{{.max_retry_attempts = 2, .growth = backoff::exponential, .delay = 200ms}}.describe() ==
        "retry(at most 2 more, exponential 200 ms)");
  CHECK(retry_policy{{.max_retry_attempts = 1, .delay = 200ms, .max_delay = 1s}}.describe() ==
        "retry(at most 1 more, constant 200 ms up to 1 s)");
}

TEST_CASE("many threads share a policy and its budget, and no token is lost or made") {
  manual_time time;
  const retry_budget budget{{.max_tokens = 10'000, .token_ratio = 1}};
  const retry_policy policy{{.max_retry_attempts = 2, .delay = 0s, .budget = budget, .time = &time}};
  for (int i = 0; i < 2'000; ++i) budget.failed();  // far from both ends, every token counts
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        int calls = 0;
        policy.execute([&] {
          if (++calls < 2) throw busy{};
        });
      }
      for (int i = 0; i < 20'000; ++i) budget.failed(), budget.succeeded();
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(budget.tokens() == 8'000);
}

namespace {

struct receipt {
  std::string id;
};
struct payment_gateway {
  int calls = 0;
  receipt charge() { return ++calls < 3 ? throw std::runtime_error{"503"} : receipt{"r-1"}; }
};

// The example of docs/retry.md.
const otlpkit::retry_policy payment_policy{{.name = "payment",
                                            .max_retry_attempts = 2,
                                            .growth = otlpkit::backoff::exponential,
                                            .delay = std::chrono::milliseconds{1}}};

receipt pay(payment_gateway& gateway) {
  OTLPKIT_SPAN("payment.process");
  return otlpkit::retry(payment_policy, "payment.gateway_call", [&] { return gateway.charge(); });
}

}  // namespace

TEST_CASE("the page's example: two failures, then a receipt, and three attempts in the trace") {
  support::recording out;
  payment_gateway gateway;
  CHECK(pay(gateway).id == "r-1");
  const auto spans = out.take();
  REQUIRE(spans.size() == 4);
  CHECK(spans[0].name == "payment.gateway_call");
  CHECK(spans[2].attributes.at("otlpkit.retry.attempt") == 3);
}
