// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/resilience/circuit_breaker.hpp>
#include <otlpkit/resilience/pipeline.hpp>
#include <otlpkit/resilience/retry.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <resilience/down.hpp>
#include <resilience/recorded.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::circuit_breaker;
using otlpkit::circuit_state;
using otlpkit::pipeline;
using otlpkit::retry_policy;
using otlpkit::resilience::call_info;
using otlpkit::resilience::outcome;
using otlpkit::testing::manual_time;

namespace {

/// A strategy of a user's own: it writes down when it is entered and left, and what it was told of the call.
class noting : public otlpkit::resilience::strategy_base<noting> {
 public:
  noting(std::string name, std::vector<std::string>& notes) : name_{std::move(name)}, notes_{&notes} {}
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::string describe() const { return name_; }

  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    notes_->push_back("+" + name_ + " " + std::string{call.pipeline} + "/" + std::string{call.operation});
    auto ended = otlpkit::resilience::detail::settled<std::invoke_result_t<F&>>::of(fn);
    notes_->push_back("-" + name_ + (ended.view().failed() ? " failed" : ""));
    return ended.take();
  }

 private:
  std::string name_;
  std::vector<std::string>* notes_;
};

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("the first strategy is the outermost, and each knows pipeline and operation") {
  list notes;
  const pipeline p{"p", noting{"a", notes}, noting{"b", notes}};
  CHECK(p.execute("op", [&] { return notes.push_back("call"), 7; }) == 7);
  CHECK(notes == list{"+a p/op", "+b p/op", "call", "-b", "-a"});
  notes.clear();
  CHECK_THROWS_AS(p.execute([] { throw down{}; }), down);
  CHECK(notes == list{"+a p/", "+b p/", "-b failed", "-a failed"});
}

TEST_CASE("a pipeline is put together piece by piece just the same, and pipelines nest") {
  list notes;
  const auto p = pipeline{"p"} | noting{"a", notes} | noting{"b", notes};
  CHECK(p.describe() == "p: a > b");
  const pipeline outer{"outer", noting{"c", notes}, p};
  CHECK(outer.describe() == "outer: c > p: a > b");
  outer.execute("op", [] {});
  CHECK(notes == list{"+c outer/op", "+a p/op", "+b p/op", "-b", "-a", "-c"});
  CHECK(pipeline{"empty"}.execute([] { return 3; }) == 3);
}

TEST_CASE("a pipeline says what it consists of") {
  const pipeline p{"payments", retry_policy{{.max_retry_attempts = 2, .delay = 200ms}},
                   circuit_breaker{{.consecutive_failures = 5, .break_duration = 10s, .success_threshold = 2}}};
  CHECK(p.name() == "payments");
  CHECK(p.describe() ==
        "payments: retry(at most 2 more, constant 200 ms) > circuit_breaker(opens for 10 s at 5 failures in a row, "
        "closes after 2 successes)");
}

TEST_CASE("what is returned passes through all layers: nothing, references, values that can only be moved") {
  list notes;
  const pipeline p{"p", noting{"a", notes}, retry_policy{}, circuit_breaker{}};
  int x = 1;
  p.execute([] {});
  CHECK(&p.execute([&]() -> int& { return x; }) == &x);
  CHECK(*p.execute([] { return std::make_unique<int>(3); }) == 3);
}

TEST_CASE("retries count one by one in the breaker within, and wait until it lets a call through again") {
  manual_time time;
  const circuit_breaker breaker{{.consecutive_failures = 2, .break_duration = 30s, .time = &time}};
  const pipeline p{"p", retry_policy{{.max_retry_attempts = 3, .delay = 1s, .time = &time}}, breaker};
  int calls = 0;
  CHECK(p.execute([&] { return ++calls <= 2 ? throw down{} : calls; }) == 3);
  CHECK(breaker.state() == circuit_state::closed);
  // After the second failure it is open: the third attempt is rejected, and asks for the rest of the break.
  CHECK(time.take_waits() == std::vector<std::chrono::nanoseconds>{1s, 1s, 29s});
}

TEST_CASE("strategies are shared with the pipelines they are in") {
  manual_time time;
  const circuit_breaker breaker{{.consecutive_failures = 2, .time = &time}};
  const pipeline one{"one", breaker}, other{"other", breaker};
  CHECK_THROWS_AS(one.execute([] { throw down{}; }), down);
  CHECK_THROWS_AS(other.execute([] { throw down{}; }), down);
  CHECK(breaker.state() == circuit_state::open);
  std::error_code rejected;
  one.execute("op", rejected, [] {});
  CHECK(rejected == otlpkit::rejection::broken_circuit);
}

TEST_CASE("calls are timed by pipeline and operation, and attempts stay children of the caller's span") {
  recorded out;
  manual_time time;
  const pipeline p{otlpkit::resilience::pipeline_options{.name = "p", .time = &time},
                   retry_policy{{.max_retry_attempts = 1, .delay = 0s, .time = &time}},
                   circuit_breaker{{.name = "b", .time = &time}}};
  {
    const otlpkit::span_guard caller{"caller"};
    int calls = 0;
    p.execute("caller.op", [&] {
      time.advance(250ms);
      if (++calls == 1) throw down{};
    });
    CHECK_THROWS_AS(p.execute("caller.op", [] { throw otlpkit::timed_out_error{"t"}; }), otlpkit::timed_out_error);
  }
  const auto spans = out.spans();
  const auto& caller = recorded::only(spans, "caller");
  REQUIRE(spans.size() == 5);
  for (const auto& s : spans) CHECK((s.name == "caller" || s.parent_id == caller.span_id));
  CHECK(recorded::events(caller) == "on_retry pipeline_executed on_retry pipeline_executed");
  CHECK(caller.events[0].attributes.at("pipeline.name") == "p");
  CHECK(caller.events[1].attributes.at("otlpkit.pipeline.duration_ms") == 500.0);
  CHECK(caller.events[3].attributes.at("error.type") == "timed_out");
  const auto durations = out.metric("otlpkit.resilience.pipeline.duration");
  CHECK(durations.at("operation.key=caller.op,pipeline.name=p") == 1);
  CHECK(durations.at("error.type=timed_out,operation.key=caller.op,pipeline.name=p") == 1);
  const auto events = out.metric("otlpkit.resilience.events");
  CHECK(events.at("event.name=pipeline_executing,event.severity=debug,operation.key=caller.op,pipeline.name=p,strategy."
                  "name=p") == 2);
}

TEST_CASE("what a strategy tells of a call carries pipeline and operation") {
  recorded out;
  manual_time time;
  const circuit_breaker breaker{{.consecutive_failures = 1, .break_duration = 1s, .time = &time}};
  const pipeline p{"p", breaker};
  {
    const otlpkit::span_guard caller{"caller"};
    std::error_code rejected;
    CHECK_THROWS_AS(p.execute("caller.op", [] { throw down{}; }), down);
    p.execute("caller.op", rejected, [] {});
    time.advance(1s);
    p.execute("caller.op", rejected, [] {});
  }
  const auto spans = out.spans();
  const auto& caller = recorded::only(spans, "caller");
  CHECK(recorded::events(caller) ==
        "on_circuit_opened pipeline_executed on_circuit_rejected pipeline_executed on_circuit_half_opened "
        "on_circuit_closed pipeline_executed");
  for (const auto& e : caller.events) {
    CHECK(e.attributes.at("pipeline.name") == "p");
    CHECK(e.attributes.at("operation.key") == "caller.op");
  }
}

TEST_CASE("operations with names of any length and content are done, and others are recorded as ever") {
  recorded out;
  manual_time time;
  const pipeline p{"p", retry_policy{{.max_retry_attempts = 1, .delay = 0s, .time = &time}},
                   circuit_breaker{{.time = &time}}};
  int calls = 0;
  const auto fails_once = [&calls] { return ++calls % 2 == 1 ? throw down{} : 2; };
  for (const std::string& name : {std::string(1 << 20, 'x'), std::string{"\xff\0\r\n'", 5}}) {
    const otlpkit::span_guard caller{"caller"};
    CHECK(p.execute(name, fails_once) == 2);
  }
  static_cast<void>(out.all.take());
  {
    const otlpkit::span_guard caller{"caller"};
    CHECK(p.execute("caller.op", fails_once) == 2);
  }
  CHECK(recorded::events(recorded::only(out.spans(), "caller")) == "on_retry pipeline_executed");
}

TEST_CASE("without telemetry a pipeline does its work") {
  manual_time time;
  const pipeline p{"p", retry_policy{{.time = &time}}, circuit_breaker{{.time = &time}}};
  int calls = 0;
  CHECK(p.execute("op", [&] { return ++calls < 3 ? throw down{} : calls; }) == 3);
}

TEST_CASE("many threads share a pipeline") {
  manual_time time;
  const pipeline p{
      "p", retry_policy{{.max_retry_attempts = 5, .delay = 1s, .time = &time}},
      circuit_breaker{{.failure_ratio = 0.5, .minimum_throughput = 10, .break_duration = 3s, .time = &time}}};
  std::vector<std::thread> threads;
  for (unsigned n = 0; n < 8; ++n) {
    threads.emplace_back([&, n] {
      for (unsigned i = 0; i < 300; ++i) {
        try {
          p.execute("op", [&] {
            if ((i + n) % 3 == 0) throw down{};
          });
        } catch (const std::runtime_error&) {
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  p.execute([&] { time.advance(1h); });
}

TEST_CASE("many threads share a circuit, and every call is counted once") {
  recorded out;
  manual_time time;
  const circuit_breaker breaker{{.name = "shared",
                                 .consecutive_failures = 3,
                                 .break_duration = 1ms,
                                 .half_open_permits = 2,
                                 .success_threshold = 3,
                                 .time = &time}};
  std::atomic<int> made{0}, rejected{0};
  std::vector<std::thread> threads;
  for (unsigned n = 0; n < 8; ++n) {
    threads.emplace_back([&, n] {
      std::minstd_rand random{n + 1};
      for (int i = 0; i < 2000; ++i) {
        try {
          breaker.execute([&] {
            ++made;
            if (random() % 2) throw down{};
          });
        } catch (const down&) {
        } catch (const otlpkit::broken_circuit_error&) {
          ++rejected;
        }
        if (random() % 8 == 0) time.advance(200us);
        if (random() % 500 == 0) breaker.reset();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(made + rejected == 16'000);
  double counted = 0;
  for (const auto& [labels, n] : out.metric("otlpkit.circuit.calls")) {
    if (labels.find("name=shared") != labels.npos) counted += n;
  }
  CHECK(counted == 16'000);
  static_cast<void>(out.all.take());
}

TEST_CASE("half open, threads that come at the same moment find as many permits as there are") {
  for (int round = 0; round < 200; ++round) {
    manual_time time;
    const circuit_breaker breaker{{.consecutive_failures = 1,
                                   .break_duration = 1s,
                                   .half_open_permits = 2,
                                   .success_threshold = 100,
                                   .time = &time}};
    CHECK_THROWS_AS(breaker.execute([] { throw down{}; }), down);
    time.advance(1s);
    std::atomic<int> inside{0}, most{0}, arrived{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) {
      threads.emplace_back([&] {
        ++arrived;
        while (arrived < 4) std::this_thread::yield();
        std::error_code ec;
        breaker.execute(ec, [&] {
          const int now = ++inside;
          int seen = most;
          while (now > seen && !most.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::yield();
          --inside;
        });
      });
    }
    for (std::thread& t : threads) t.join();
    REQUIRE(most <= 2);
    REQUIRE(most >= 1);
  }
}

namespace {

struct receipt {
  std::string id;
};
struct payment_gateway {
  int calls = 0;
  receipt charge() { return ++calls < 3 ? throw std::runtime_error{"503"} : receipt{"r-1"}; }
};

// The example of docs/resilience_pipeline.md.
const otlpkit::circuit_breaker gateway_breaker{{.name = "gateway", .consecutive_failures = 5}};
const otlpkit::pipeline payments{
    "payments", otlpkit::retry_policy{{.max_retry_attempts = 2, .delay = std::chrono::milliseconds{1}}},
    gateway_breaker};

std::string pay(payment_gateway& gateway) {
  std::error_code rejected;
  const receipt r = payments.execute("payment.gateway_call", rejected, [&] { return gateway.charge(); });
  return rejected ? rejected.message() : r.id;
}

}  // namespace

TEST_CASE("the page's example: a pipeline retries, and says what its breaker thinks of the gateway") {
  payment_gateway gateway;
  CHECK(pay(gateway) == "r-1");
  gateway_breaker.isolate();
  CHECK(pay(gateway) == "the circuit was opened by hand");
  CHECK(gateway.calls == 3);
}
