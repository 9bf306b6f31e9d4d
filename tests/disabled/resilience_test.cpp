// SPDX-License-Identifier: MIT
#include <otlpkit/asio/circuit_breaker.hpp>
#include <otlpkit/asio/pipeline.hpp>
#include <otlpkit/asio/retry.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <stdexcept>
#include <system_error>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

struct down : std::runtime_error {
  down() : std::runtime_error{"down"} {}
};

}  // namespace

TEST_CASE("with telemetry compiled out calls are retried, circuits open and pipelines pass on what is returned") {
  otlpkit::testing::manual_time time;
  const otlpkit::retry_policy policy{{.delay = 1s, .budget = otlpkit::retry_budget{}, .time = &time}};
  const otlpkit::circuit_breaker breaker{{.consecutive_failures = 4, .time = &time}};
  const otlpkit::pipeline all{"all", policy, breaker};
  int calls = 0;
  CHECK(otlpkit::retry(policy, "op", [&] { return ++calls < 3 ? throw down{} : calls; }) == 3);
  CHECK(time.take_waits().size() == 2);
  CHECK_THROWS_AS(all.execute("op", [] { throw down{}; }), down);
  CHECK(breaker.state() == otlpkit::circuit_state::open);
  std::error_code rejected;
  breaker.execute(rejected, [] {});
  CHECK(rejected == otlpkit::rejection::broken_circuit);
}

TEST_CASE("with telemetry compiled out awaited calls are retried and rejected") {
  otlpkit::testing::manual_time time;
  const otlpkit::circuit_breaker breaker{{.consecutive_failures = 4, .time = &time}};
  const otlpkit::pipeline all{"all", otlpkit::retry_policy{{.delay = 1s, .time = &time}}, breaker};
  asio::io_context io;
  int calls = 0, got = 0;
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        got = co_await all.execute("op", [&]() -> asio::awaitable<int> {
          co_await asio::post(asio::use_awaitable);
          co_return ++calls < 3 ? throw down{} : calls;
        });
      },
      asio::detached);
  io.run();
  CHECK(got == 3);
  breaker.isolate();
  CHECK_THROWS_AS(breaker.execute([] {}), otlpkit::isolated_circuit_error);
}
