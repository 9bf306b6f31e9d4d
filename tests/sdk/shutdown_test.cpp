// SPDX-License-Identifier: MIT
// flush and shutdown keep their deadline, whatever an exporter does.
#include "exporters.hpp"

#include <otlpkit/sdk/pipeline.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace sdk_test;

namespace {

constexpr auto margin = 100ms;

template <class Work>
clock::duration time_of(Work work) {
  const auto start = clock::now();
  work();
  return clock::now() - start;
}

}  // namespace

TEST_CASE(
    "an exporter that never completes: flush and shutdown return at their deadline, and what it held is counted") {
  otlpkit::telemetry telemetry{settings_for({std::make_shared<silent_exporter>()}), no_variables};
  record(10);
  bool ok = true;
  CHECK(time_of([&] { ok = telemetry.flush(200ms); }) < 200ms + margin);
  CHECK_FALSE(ok);
  CHECK(time_of([&] { ok = telemetry.shutdown(200ms); }) < 200ms + margin);
  CHECK_FALSE(ok);
  CHECK(telemetry.books().spans().recorded == 10);
  CHECK(telemetry.books().spans().dropped(drop_reason::shutdown) == 10);
}

TEST_CASE(
    "an exporter that blocks the thread: flush and shutdown return at their deadline, and the next telemetry works") {
  const auto blocking = std::make_shared<blocking_exporter>();
  {
    otlpkit::telemetry telemetry{settings_for({blocking}), no_variables};
    record(10);
    bool ok = true;
    CHECK(time_of([&] { ok = telemetry.flush(200ms); }) < 200ms + margin);
    CHECK_FALSE(ok);
    REQUIRE(blocking->wait_until_entered());
    record(5);
    CHECK(time_of([&] { ok = telemetry.shutdown(200ms); }) < 200ms + margin);
    CHECK_FALSE(ok);
    CHECK(telemetry.books().spans().recorded == 15);
    CHECK(telemetry.books().spans().dropped(drop_reason::shutdown) == 15);
  }
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry next{settings_for({memory}), no_variables};
  record(7);
  blocking->let_go();  // the thread left behind takes nothing of the new pipeline
  REQUIRE(blocking->wait_until_left());
  CHECK(next.shutdown());
  CHECK(memory->items(signal::traces) == 7);
  CHECK(next.books().spans().recorded == 7);
  CHECK(next.books().spans().delivered == 7);
}

TEST_CASE("an exporter that throws from everything: flush and shutdown end as if it had failed") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({std::make_shared<throwing_exporter>(), memory}), no_variables};
  record(10);
  CHECK(telemetry.flush(10s));
  record(5);
  CHECK(time_of([&] { telemetry.shutdown(5s); }) < 2s);
  CHECK(memory->items(signal::traces) == 15);
  CHECK(telemetry.books().spans().recorded == 15);
  CHECK(telemetry.books().spans().dropped(drop_reason::failed) == 15);
}

TEST_CASE("an exporter that completes twice is counted once") {
  otlpkit::telemetry telemetry{settings_for({std::make_shared<twice_exporter>()}), no_variables};
  record(10);
  CHECK(telemetry.flush(10s));
  CHECK(telemetry.shutdown(10s));
  CHECK(telemetry.books().spans().recorded == 10);
  CHECK(telemetry.books().spans().delivered == 10);
  CHECK(telemetry.books().spans().dropped() == 0);
}

TEST_CASE("shutdown sends what is left and says so") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  record(10);
  CHECK(telemetry.shutdown(10s));
  CHECK(memory->items(signal::traces) == 10);
  CHECK(telemetry.shutdown(10s));
  record(3);
  CHECK(telemetry.flush(10s));
  CHECK(memory->items(signal::traces) == 10);
  CHECK(telemetry.books().spans().recorded == 10);
}

TEST_CASE("a flush under way when shutdown gives up is let go with it, and says so") {
  const auto silent = std::make_shared<silent_exporter>();
  const auto blocking = std::make_shared<blocking_exporter>();
  for (const bool blocks : {false, true}) {
    CAPTURE(blocks);
    std::shared_ptr<otlpkit::sdk::exporter> exporter = silent;
    if (blocks) exporter = blocking;
    otlpkit::telemetry telemetry{settings_for({exporter}), no_variables};
    record(10);
    bool ok = true;
    clock::duration took{};
    std::thread flushing{[&] { took = time_of([&] { ok = telemetry.flush(30s); }); }};
    CHECK((blocks ? blocking->wait_until_entered() : eventually([&] { return silent->sent != 0; })));
    CHECK_FALSE(telemetry.shutdown(50ms));
    flushing.join();
    CHECK(took < 15s);
    CHECK_FALSE(ok);
  }
  blocking->let_go();
  CHECK(blocking->wait_until_left());
}

TEST_CASE("a flush that comes after the end of its pipeline returns at once, with what the shutdown returned") {
  for (const bool loses : {false, true}) {
    CAPTURE(loses);
    std::shared_ptr<otlpkit::sdk::exporter> exporter = std::make_shared<memory_exporter>();
    if (loses) exporter = std::make_shared<silent_exporter>();
    otlpkit::sdk::pipeline_options options;
    options.signals[0] = {.on = true, .delay = 1h};
    options.resource = std::make_shared<const std::string>();
    options.make_exporters = [exporter](boost::asio::io_context&) { return std::vector{exporter}; };
    const auto pipeline = std::make_shared<otlpkit::sdk::pipeline>(std::move(options));
    pipeline->start();
    otlpkit::detail::global_runtime.mode.store(otlpkit::detail::mode_traces, otlpkit::platform::release);
    record(3);
    otlpkit::detail::global_runtime.mode.store(0, otlpkit::platform::release);
    CHECK(pipeline->shutdown(clock::now() + (loses ? 50ms : 20'000ms)) == !loses);
    bool ok = loses;
    CHECK(time_of([&] { ok = pipeline->flush(clock::now() + 30s); }) < 15s);
    CHECK(ok == !loses);
    CHECK(pipeline->read_books().spans().recorded == 3);
    CHECK(pipeline->read_books().spans().delivered == (loses ? 0 : 3));
  }
}

TEST_CASE("the destructor takes no longer than its setting") {
  auto s = settings_for({std::make_shared<silent_exporter>()});
  s.shutdown_timeout = 200ms;
  std::optional<otlpkit::telemetry> telemetry;
  telemetry.emplace(s, no_variables);
  record(10);
  const auto took = time_of([&] { telemetry.reset(); });
  CHECK(took >= 150ms);
  CHECK(took < 200ms + margin);
}

TEST_CASE("a span that outlives telemetry ends quietly") {
  const auto memory = std::make_shared<memory_exporter>();
  std::optional<otlpkit::telemetry> telemetry;
  telemetry.emplace(settings_for({memory}), no_variables);
  {
    OTLPKIT_SPAN("outlives");
    record(2);
    telemetry.reset();
  }
  CHECK(memory->items(signal::traces) == 2);
}
