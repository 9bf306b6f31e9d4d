// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/asio/bulkhead.hpp>
#include <otlpkit/asio/chaos.hpp>
#include <otlpkit/asio/fallback.hpp>
#include <otlpkit/asio/hedge.hpp>
#include <otlpkit/asio/pipeline.hpp>
#include <otlpkit/asio/rate_limiter.hpp>
#include <otlpkit/asio/timeout.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <asio/strategy_checks.hpp>
#include <resilience/recorded.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

using namespace std::chrono_literals;
namespace chaos = otlpkit::chaos;
using otlpkit::bulkhead;
using otlpkit::fallback;
using otlpkit::hedge;
using otlpkit::rate_limiter;
using otlpkit::timed_out_error;
using otlpkit::timeout;
using otlpkit::testing::manual_time;

TEST_CASE("coroutines wait for their permit without a thread, and one that is cancelled gives it back") {
  recorded out;
  manual_time time;
  const rate_limiter limiter{{.permits_per_second = 2, .burst = 1, .queue_limit = 5, .time = &time}};
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    for (int i = 0; i < 3; ++i) CHECK(co_await limiter.execute("ask", [i] { return soon(i); }) == i);
  });
  CHECK(time.take_waits().size() == 2);
  CHECK(recorded::events(out.spans().at(0)) == "on_rate_limiter_waited on_rate_limiter_waited");
  const rate_limiter real{{.permits_per_second = 1e-3, .burst = 1, .queue_limit = 1}};
  CHECK(real.try_acquire());
  CHECK(ends_when_cancelled([&]() -> awaitable<void> { co_await real.execute([] { return soon(1); }); }()));
  CHECK(real.available_permits() < 0.5);
  CHECK(ends_when_cancelled([&]() -> awaitable<void> { co_await real.execute([] { return soon(1); }); }()));
}

TEST_CASE("coroutines and threads share a bulkhead, never more at once than may, and none is lost") {
  const bulkhead gate{{.max_concurrent_calls = 3, .queue_limit = 1000}};
  std::atomic<int> in{0}, done{0};
  std::atomic<bool> too_many{false};
  asio::io_context io;
  const auto enter = [&] {
    if (++in > 3) too_many = true;
  };
  for (int c = 0; c < 50; ++c) {
    otlpkit::co_spawn(
        io,
        [&]() -> awaitable<void> {
          for (int i = 0; i < 20; ++i) {
            co_await gate.execute([&]() -> awaitable<void> {
              enter();
              co_await asio::post(asio::use_awaitable);
              --in;
            });
            ++done;
          }
        },
        asio::detached);
  }
  std::thread blocking{[&] {
    for (int i = 0; i < 500; ++i) {
      gate.execute([&] {
        enter();
        --in;
      });
      ++done;
    }
  }};
  run_on(io, 3);
  blocking.join();
  CHECK(done == 1500);
  CHECK_FALSE(too_many);
  CHECK((gate.active() == 0 && gate.queued() == 0));
}

TEST_CASE("a coroutine that waits at a bulkhead leaves when it is cancelled, destroyed, or has waited enough") {
  recorded out;
  manual_time time;
  const bulkhead gate{{.max_concurrent_calls = 1, .queue_limit = 5, .time = &time}};
  const bulkhead brief{{.max_concurrent_calls = 1, .queue_limit = 5, .max_wait = 1s, .time = &time}};
  gate.execute([&] {
    CHECK(ends_when_cancelled([&]() -> awaitable<void> { co_await gate.execute([] { return soon(1); }); }()));
    CHECK(gate.queued() == 0);
    {
      asio::io_context io;
      otlpkit::co_spawn(
          io, [&]() -> awaitable<void> { co_await gate.execute([] { return soon(1); }); }, asio::detached);
      io.poll();
      CHECK(gate.queued() == 1);
    }
    CHECK(gate.queued() == 0);
    brief.execute([&] {
      run_one([&]() -> awaitable<void> {
        const otlpkit::span_guard caller{"caller"};
        std::error_code rejected;
        co_await brief.execute("ask", rejected, [] { return soon(1); });
        CHECK(rejected == otlpkit::rejection::bulkhead_full);
      });
    });
  });
  CHECK((gate.active() == 0 && brief.active() == 0));
  CHECK(recorded::events(out.spans().at(0)) == "on_bulkhead_rejected");
}

TEST_CASE("a coroutine that was admitted and is destroyed before it goes on gives its place back") {
  const bulkhead gate{{.max_concurrent_calls = 1, .queue_limit = 5}};
  {
    asio::io_context io;
    gate.execute([&] {
      otlpkit::co_spawn(
          io, [&]() -> awaitable<void> { co_await gate.execute([] { return soon(1); }); }, asio::detached);
      io.poll();
      CHECK(gate.queued() == 1);
    });
    CHECK(gate.active() == 1);
  }
  CHECK(gate.active() == 0);
}

TEST_CASE("a call that takes too long is cancelled and awaited to its end, and its span knows its place") {
  recorded out;
  manual_time time;
  const timeout limit{{.name = "total_timeout", .limit = 2s, .time = &time}};
  bool ended = false;
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    bool thrown = false;
    try {
      co_await limit.execute("ask", [&]() -> awaitable<void> {
        OTLPKIT_SPAN("caller inner");
        CHECK(*otlpkit::time_left() <= 2s);
        struct at_end {
          bool& flag;
          ~at_end() { flag = true; }
        } const mark{ended};
        co_await wait_for_ever();
      });
    } catch (const timed_out_error& e) {
      thrown = e.strategy() == "total_timeout";
    }
    CHECK((thrown && ended));
    OTLPKIT_RECORD("caller.after", true);
  });
  const auto spans = out.spans();
  const auto& caller = recorded::only(spans, "caller");
  CHECK(recorded::events(caller) == "on_timeout");
  CHECK(caller.events[0].attributes.at("otlpkit.timeout.late") == false);
  CHECK(caller.attributes.contains("caller.after"));
  CHECK(recorded::only(spans, "caller inner").parent_id == caller.span_id);
}

TEST_CASE("a call within its time is as it would be without a timeout: result, exception, current span, cancellation") {
  recorded out;
  const timeout limit{1h};
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    CHECK(co_await limit.execute([] { return soon(5); }) == 5);
    const move_only value = co_await limit.execute([]() -> awaitable<move_only> {
      OTLPKIT_RECORD("caller.here", true);
      co_return move_only{6};
    });
    CHECK(*value.value == 6);
    bool thrown = false;
    try {
      co_await limit.execute([]() -> awaitable<void> {
        co_await asio::post(asio::use_awaitable);
        throw down{};
      });
    } catch (const down&) {
      thrown = true;
    }
    CHECK(thrown);
    CHECK_FALSE(otlpkit::time_left().has_value());
  });
  CHECK(recorded::only(out.spans(), "caller").attributes.contains("caller.here"));
  CHECK(ends_when_cancelled([&]() -> awaitable<void> { co_await limit.execute([] { return never(); }); }()));
  asio::io_context dies;  // with the call suspended
  otlpkit::co_spawn(
      dies, [&]() -> awaitable<void> { co_await limit.execute([] { return never(); }); }, asio::detached);
  dies.poll();
}

TEST_CASE("what ends well although it was cancelled is returned, and told as late") {
  recorded out;
  manual_time time;
  const timeout limit{{.limit = 2s, .time = &time}};
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    const int got = co_await limit.execute([]() -> awaitable<int> {
      try {
        co_await wait_for_ever();
      } catch (const boost::system::system_error&) {
      }
      co_return 4;
    });
    CHECK(got == 4);
  });
  CHECK(recorded::only(out.spans(), "caller").events.at(0).attributes.at("otlpkit.timeout.late") == true);
}

TEST_CASE("a slow call is made again, the first answer wins, and the loser is cancelled and says so") {
  recorded out;
  manual_time time;
  std::vector<std::size_t> hedged;
  const otlpkit::pipeline twice{
      "reads", hedge{{.delay = 50ms, .on_hedging = [&](std::size_t n) { hedged.push_back(n); }, .time = &time}}};
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    int calls = 0;
    CHECK(co_await twice.execute(
              "read", [&] { return calls++ == 0 ? otlpkit::in_span("caller asked", never()) : soon(2); }) == 2);
    CHECK(calls == 2);
  });
  CHECK(hedged == std::vector<std::size_t>{1});
  const auto spans = out.spans();
  CHECK(recorded::only(spans, "caller asked").status == 0);
  const auto& caller = recorded::only(spans, "caller");
  CHECK(caller.attributes.at("otlpkit.hedge.attempts") == 2);
  CHECK(caller.attributes.at("otlpkit.hedge.winner") == 1);
  int losers = 0;
  for (const auto& s : spans) {
    if (s.name != "read") continue;
    CHECK(s.parent_id == caller.span_id);
    CHECK(s.status == 0);
    const bool first = s.attributes.at("otlpkit.hedge.attempt") == 0;
    CHECK(s.attributes.contains("otlpkit.hedge.loser") == first);
    CHECK(recorded::events(s) == (first ? "" : "on_hedging"));
    if (!first) CHECK(s.events[0].attributes.at("pipeline.name") == "reads");
    losers += first;
  }
  CHECK(losers == 1);
}

TEST_CASE("a call that answers in time is made once, failures are made good at once, and the last one is thrown") {
  manual_time time;
  const hedge more{{.max_hedged_attempts = 2, .delay = -1ms, .time = &time}};
  run_one([&]() -> awaitable<void> {
    int calls = 0;
    const auto fails = [&calls](int times) {
      return [&calls, times]() -> awaitable<int> {
        const int n = ++calls;
        co_await asio::post(asio::use_awaitable);
        if (n <= times) throw down{};
        co_return n;
      };
    };
    CHECK(co_await more.execute(fails(0)) == 1);
    calls = 0;
    CHECK(co_await more.execute(fails(2)) == 3);
    calls = 0;
    bool thrown = false;
    try {
      co_await more.execute(fails(9));
    } catch (const down&) {
      thrown = true;
    }
    CHECK((thrown && calls == 3));
  });
  CHECK(time.take_waits().empty());
  const hedge slow{{.delay = 1h}};
  CHECK(ends_when_cancelled([&]() -> awaitable<void> { co_await slow.execute([] { return never(); }); }()));
  asio::io_context dies;
  otlpkit::co_spawn(
      dies, [&]() -> awaitable<void> { co_await slow.execute([] { return never(); }); }, asio::detached);
  dies.poll();
}

TEST_CASE("how long calls take is learned from those that came to their end, not from those their caller gave up") {
  manual_time time;
  const hedge learns{{.delay = -1ms, .percentile_delay = 0.5, .time = &time}};
  for (int i = 0; i < 30; ++i)
    CHECK(ends_when_cancelled([&]() -> awaitable<void> { co_await learns.execute([] { return never(); }); }()));
  CHECK(learns.delay() == -1ms);
  run_one([&]() -> awaitable<void> {
    for (int i = 0; i < 30; ++i) CHECK(co_await learns.execute([i] { return soon(i); }) == i);
  });
  CHECK(learns.delay() == 0ns);
}

TEST_CASE("on many threads, timeouts and hedges cancel what runs without touching it, and every span has its parent") {
  recorded out;
  out.all.queue(std::size_t{64} << 20, 100'000);
  const timeout limit{200us};
  const hedge twice{{.max_hedged_attempts = 2, .delay = 100us}};
  asio::io_context io;
  std::atomic<int> good{0}, late{0};
  for (int c = 0; c < 40; ++c) {
    otlpkit::co_spawn(
        io,
        [&]() -> awaitable<void> {
          for (int i = 0; i < 20; ++i) {
            const otlpkit::span_guard root{"root"};
            try {
              co_await limit.execute([&] {
                return twice.execute("try", [up = root.context()]() -> awaitable<int> {
                  co_await pause_up_to(300);
                  EXPECT(otlpkit::current_context().trace == up.trace);
                  co_return 1;
                });
              });
              ++good;
            } catch (const timed_out_error&) {
              ++late;
            }
            EXPECT(is_current(root.context()));
          }
        },
        asio::detached);
  }
  run_on(io, 4);
  CHECK(good + late == 800);
  CHECK(counted.wrong == 0);
  static_cast<void>(out.all.take());
}

TEST_CASE("fallback and chaos do for coroutines what they do for calls") {
  manual_time time;
  const chaos::chaos_options always{.injection_rate = 1, .time = &time};
  run_one([&]() -> awaitable<void> {
    const fallback value{[] { return 7; }};
    const fallback later{[] { return soon(8); }};
    const auto fails = []() -> awaitable<int> {
      co_await asio::post(asio::use_awaitable);
      throw down{};
    };
    CHECK(co_await value.execute(fails) == 7);
    CHECK(co_await later.execute(fails) == 8);
    CHECK(co_await value.execute([] { return soon(1); }) == 1);
    const chaos::latency slow{always, 3s};
    CHECK(co_await slow.execute([] { return soon(1); }) == 1);
    const chaos::outcome other{always, [] { return soon(2); }};
    CHECK(co_await other.execute([] { return soon(1); }) == 2);
    const chaos::fault fault{always};
    CHECK(co_await value.execute([&] { return fault.execute([] { return soon(1); }); }) == 7);
    int acts = 0;
    const chaos::behavior acting{always, [&] { ++acts; }};
    CHECK(co_await acting.execute([&] { return soon(acts); }) == 1);
  });
  CHECK(time.take_waits().size() == 1);
  const fallback none{[] { return 7; }};
  CHECK(ends_when_cancelled([&]() -> awaitable<void> { co_await none.execute([] { return never(); }); }()));
}

namespace {

awaitable<std::string> replica(int number) {
  if (number == 0) co_await wait_for_ever();
  co_return "from replica " + std::to_string(number);
}

const otlpkit::hedge replicas{{.name = "replicas", .delay = std::chrono::milliseconds{1}}};

awaitable<std::string> read_product() {
  int next = 0;
  co_return co_await replicas.execute("product.read", [&next] { return replica(next++); });
}

}  // namespace

TEST_CASE("the page's example: the second replica answers for the first") {
  run_one([]() -> awaitable<void> { CHECK(co_await read_product() == "from replica 1"); });
}
