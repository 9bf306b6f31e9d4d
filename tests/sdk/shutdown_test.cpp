// SPDX-License-Identifier: MIT
// flush and shutdown keep their deadline, whatever an exporter does.
#include "exporters.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>

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
