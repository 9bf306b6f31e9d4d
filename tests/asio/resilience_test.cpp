// SPDX-License-Identifier: MIT
#include <otlpkit/asio/resilience.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <asio/checks.hpp>
#include <resilience/down.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::circuit_breaker;
using otlpkit::circuit_state;
using otlpkit::pipeline;
using otlpkit::retry_policy;
using otlpkit::testing::manual_time;

namespace {

/// A far end that fails so many times before it answers, and never at once.
struct far_end {
  int failures = 0;
  int calls = 0;

  awaitable<move_only> ask() {
    ++calls;
    co_await asio::post(asio::use_awaitable);
    if (calls <= failures) throw down{};
    co_return move_only{calls};
  }
  awaitable<void> tell() { static_cast<void>(co_await ask()); }
};

/// Runs `work` until it waits for ever, then cancels it; what it ended with.
std::exception_ptr cancelled(awaitable<void> work) {
  asio::io_context io;
  asio::cancellation_signal signal;
  std::exception_ptr failure;
  otlpkit::co_spawn(io, std::move(work),
                    asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { failure = e; }));
  while (io.poll() != 0) {
  }
  signal.emit(asio::cancellation_type::terminal);
  io.restart();
  io.run();
  return failure;
}
bool aborted(const std::exception_ptr& e) {
  try {
    if (e) std::rethrow_exception(e);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
  }
  return false;
}

}  // namespace

TEST_CASE(
    "an awaited call is repeated with the delays of the policy, and its attempts are siblings under the caller's "
    "span") {
  support::recording recording;
  manual_time time;
  far_end far{2};
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    const retry_policy policy{{.name = "p",
                               .max_retry_attempts = 2,
                               .growth = otlpkit::backoff::exponential,
                               .delay = 200ms,
                               .chance = otlpkit::jitter::none,
                               .time = &time}};
    const auto got = co_await otlpkit::retry(policy, "far.call", [&] { return far.ask(); });
    EXPECT(*got.value == 3);
    EXPECT(is_current(caller.context()));
  });
  CHECK(time.take_waits() == std::vector<std::chrono::nanoseconds>{200ms, 400ms});
  const auto spans = recording.take();
  REQUIRE(spans.size() == 4);
  const auto& caller = named(spans, "caller");
  for (int i = 0; i < 3; ++i) {
    const auto& s = spans[static_cast<std::size_t>(i)];
    CHECK(s.name == "far.call");
    CHECK(s.parent_id == caller.span_id);
    CHECK(s.is_error() == (i < 2));
    CHECK(s.attributes.at("otlpkit.retry.attempt") == i + 1);
    CHECK_FALSE(s.attributes.contains("otlpkit.abandoned"));
  }
  CHECK(caller.events.size() == 2);
  CHECK_FALSE(caller.is_error());
  CHECK(counted.wrong.load() == 0);
}

TEST_CASE("the awaitable keeps function, policy and name, whatever becomes of the originals") {
  support::recording recording;
  manual_time time;
  std::unique_ptr<awaitable<move_only>> work;
  auto far = std::make_shared<far_end>(far_end{1});
  {
    const std::string name = "a name that is gone before the call is made";
    const retry_policy policy{{.time = &time}};
    const circuit_breaker breaker;
    const pipeline p{"a pipeline that is gone before the call is made", policy, breaker};
    work = std::make_unique<awaitable<move_only>>(p.execute(name, [far] { return far->ask(); }));
  }
  std::weak_ptr<far_end> alive = far;
  far.reset();
  run_one([&]() -> awaitable<void> {
    const auto got = co_await std::move(*work);
    EXPECT(*got.value == 2);
  });
  CHECK(alive.expired());
  CHECK(named(recording.take(), "a name that is gone before the call is made").attributes.at("otlpkit.retry.attempt") ==
        1);
  CHECK(counted.wrong.load() == 0);
}

TEST_CASE("cancelled while it waits for the next attempt, a call ends at once and is not made again") {
  far_end far{100};
  const retry_policy policy{{.delay = 1h}};
  CHECK(aborted(cancelled(policy.execute([&] { return far.tell(); }))));
  CHECK(far.calls == 1);
}

TEST_CASE("a call that is cancelled is neither repeated nor counted as a failure") {
  support::recording recording;
  manual_time time;
  int calls = 0;
  const circuit_breaker breaker{{.consecutive_failures = 1, .time = &time}};
  const pipeline p{"p", retry_policy{{.time = &time}}, breaker};
  CHECK(aborted(cancelled(p.execute([&] {
    ++calls;
    return wait_for_ever();
  }))));
  CHECK(calls == 1);
  CHECK(breaker.state() == circuit_state::closed);
  CHECK(breaker.counts().calls == 0);
  CHECK(time.take_waits().empty());
  CHECK(recording.take_one().attributes.at("otlpkit.retry.stopped_by") == "not_handled");
}

TEST_CASE("a coroutine that is destroyed during its attempt leaves an abandoned span and gives back its trial") {
  support::recording recording;
  manual_time time;
  const circuit_breaker breaker{{.consecutive_failures = 1, .break_duration = 1s, .time = &time}};
  CHECK_THROWS_AS(breaker.execute([] { throw down{}; }), down);
  time.advance(1s);
  {
    asio::io_context io;
    const pipeline p{"p", retry_policy{}, breaker};
    otlpkit::co_spawn(io, p.execute("far.call", [] { return wait_for_ever(); }), asio::detached);
    io.poll();
    std::error_code rejected;
    breaker.execute(rejected, [] {});
    CHECK(rejected == otlpkit::rejection::broken_circuit);
  }
  const auto span = recording.take_one();
  CHECK(span.attributes.at("otlpkit.abandoned") == true);
  CHECK_FALSE(span.is_error());
  CHECK(breaker.state() == circuit_state::half_open);
  breaker.execute([] {});
  CHECK(breaker.state() == circuit_state::closed);
}

TEST_CASE("a breaker rejects awaited calls by exception or code, and does not start them") {
  const circuit_breaker breaker{{.consecutive_failures = 1}};
  far_end far{1};
  run_one([&]() -> awaitable<void> {
    bool failed = false, rejected = false;
    try {
      co_await breaker.execute([&] { return far.tell(); });
    } catch (const down&) {
      failed = true;
    }
    try {
      co_await breaker.execute([&] { return far.tell(); });
    } catch (const otlpkit::broken_circuit_error&) {
      rejected = true;
    }
    EXPECT(failed && rejected);
    std::error_code code;
    const int none = co_await breaker.execute("op", code, []() -> awaitable<int> { co_return 1; });
    EXPECT(none == 0 && code == otlpkit::rejection::broken_circuit);
    breaker.reset();
    const int one = co_await breaker.execute(code, []() -> awaitable<int> { co_return 1; });
    EXPECT(one == 1 && !code);
  });
  CHECK(far.calls == 1);
  CHECK(counted.wrong.load() == 0);
}

TEST_CASE("awaited calls keep to the task's deadline") {
  far_end far{100};
  const retry_policy policy{{.max_retry_attempts = 50, .delay = 1h}};
  CHECK_THROWS_AS(run_one([&]() -> awaitable<void> {
                    const otlpkit::deadline_scope deadline{10min};
                    co_await policy.execute([&] { return far.tell(); });
                  }),
                  down);
  CHECK(far.calls == 1);
}

TEST_CASE("awaitables on a traced executor of one's own are repeated, too") {
  using executor = otlpkit::traced_executor<asio::io_context::executor_type>;
  asio::io_context io;
  int calls = 0;
  const retry_policy policy{{.delay = 0s}};
  const pipeline p{"p", policy, circuit_breaker{}};
  asio::co_spawn(
      otlpkit::fork(io.get_executor()),
      [&]() -> awaitable<void, executor> {
        co_await p.execute("op", [&]() -> awaitable<void, executor> {
          co_await asio::post(asio::use_awaitable_t<executor>{});
          if (++calls < 3) throw down{};
        });
      },
      asio::detached);
  io.run();
  CHECK(calls == 3);
}

TEST_CASE("threads and coroutines share one pipeline") {
  support::recording recording;
  manual_time time;
  const circuit_breaker breaker{
      {.failure_ratio = 0.6, .minimum_throughput = 10, .break_duration = 5ms, .half_open_permits = 2, .time = &time}};
  const pipeline p{"p", retry_policy{{.max_retry_attempts = 2, .delay = 1ms, .time = &time}}, breaker};
  asio::io_context io;
  std::atomic<int> ended{0};
  for (unsigned n = 0; n < 40; ++n) {
    otlpkit::co_spawn(
        io,
        [&, n]() -> awaitable<void> {
          const child_of caller{{}, "caller"};
          for (unsigned i = 0; i < 25; ++i) {
            try {
              co_await p.execute("shared.call", [&]() -> awaitable<void> {
                const child_of inner{otlpkit::current_context(), "inner"};
                co_await asio::post(asio::use_awaitable);
                if ((i + n) % 2 == 0) throw down{};
              });
            } catch (const std::runtime_error&) {
            }
            EXPECT(is_current(caller.context()));
          }
          ++ended;
        },
        asio::detached);
  }
  std::thread blocking{[&] {
    for (unsigned i = 0; i < 500; ++i) {
      std::error_code rejected;
      p.execute("blocking.call", rejected, [] {});
    }
  }};
  run_on(io, 4);
  blocking.join();
  CHECK(ended == 40);
  CHECK(wrong_parents(recording.take()) == 0);
  CHECK(counted.wrong.load() == 0);
}

namespace {

struct receipt {
  std::string id;
};
struct async_gateway {
  int calls = 0;
  awaitable<receipt> charge(std::string order) {
    co_await asio::post(asio::use_awaitable);
    co_return ++calls < 3 ? throw down{} : receipt{"r-" + order};
  }
};

// The examples of docs/retry.md and docs/resilience_pipeline.md.
const retry_policy payment_policy{{.max_retry_attempts = 2, .delay = std::chrono::milliseconds{1}}};

awaitable<receipt> pay(async_gateway& gateway, std::string order) {
  OTLPKIT_SPAN("payment.process", {"order_id", order});
  co_return co_await otlpkit::retry(payment_policy, "payment.gateway_call", [&] { return gateway.charge(order); });
}

const pipeline payments{"payments", payment_policy, circuit_breaker{{.name = "gateway", .consecutive_failures = 5}}};

awaitable<receipt> pay_through_pipeline(async_gateway& gateway, std::string order) {
  co_return co_await payments.execute("payment.gateway_call", [&] { return gateway.charge(order); });
}

}  // namespace

TEST_CASE("the pages' examples: a payment is retried without blocking a thread, by policy and by pipeline") {
  run_one([]() -> awaitable<void> {
    async_gateway gateway, other;
    EXPECT((co_await pay(gateway, "1")).id == "r-1");
    EXPECT((co_await pay_through_pipeline(other, "2")).id == "r-2");
  });
  CHECK(counted.wrong.load() == 0);
}

namespace {

// The example of docs/resilience_pipeline.md.
const otlpkit::pipeline risk_calls{
    "risk-calls",
    otlpkit::timeout{{.name = "total_timeout", .limit = 2s}},
    otlpkit::retry_policy{{.max_retry_attempts = 2, .growth = otlpkit::backoff::exponential, .delay = 1ms}},
    otlpkit::circuit_breaker{{.name = "ml", .consecutive_failures = 5, .break_duration = 10s}},
    otlpkit::rate_limiter{{.name = "ml", .permits_per_second = 100}},
    otlpkit::timeout{{.name = "attempt_timeout", .limit = 500ms}}};

template <class Service>
boost::asio::awaitable<double> risk(Service& ml, std::string user) {
  co_return co_await risk_calls.execute("risk.ml_prediction", [&] { return ml.predict(user); });
}

struct ml_service {
  int calls = 0;
  awaitable<double> predict(std::string) {
    co_await asio::post(asio::use_awaitable);
    co_return ++calls < 3 ? throw down{} : 0.25;
  }
};

}  // namespace

TEST_CASE("the page's example: in the recommended order, failures are retried within the total timeout") {
  support::recording recording;
  ml_service ml;
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    EXPECT(co_await risk(ml, "u-1") == 0.25);
  });
  CHECK(ml.calls == 3);
  const auto spans = recording.take();
  CHECK(spans.size() == 4);
  for (const auto& s : spans) CHECK((s.name == "caller" || s.parent_id == named(spans, "caller").span_id));
  CHECK(counted.wrong.load() == 0);
}

TEST_CASE("an attempt that takes too long is retried and counts in the breaker, and the total timeout ends all") {
  manual_time time;
  const circuit_breaker breaker{{.failure_ratio = 1, .minimum_throughput = 100}};
  const retry_policy policy{{.max_retry_attempts = 2, .delay = 1ms}};
  const pipeline attempts{"p", policy, breaker, otlpkit::timeout{1ms}};
  CHECK_THROWS_AS(run_one([&]() -> awaitable<void> { co_await attempts.execute([] { return wait_for_ever(); }); }),
                  otlpkit::timed_out_error);
  CHECK(breaker.counts().failures == 3);
  int calls = 0;
  const pipeline total{"p", otlpkit::timeout{5ms}, retry_policy{{.max_retry_attempts = 1000, .delay = 0ms}}, breaker};
  CHECK_THROWS_AS(run_one([&]() -> awaitable<void> {
                    co_await total.execute([&] {
                      ++calls;
                      return wait_for_ever();
                    });
                  }),
                  otlpkit::timed_out_error);
  CHECK(calls == 1);
  CHECK(breaker.counts().failures == 3);  // the attempt was cancelled
}
