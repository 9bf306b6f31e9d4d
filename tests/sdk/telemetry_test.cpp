// SPDX-License-Identifier: MIT
// The life of the telemetry object.
#include "exporters.hpp"

#include <support/metric_points.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using namespace sdk_test;

namespace {

std::mutex told_mutex;
std::vector<std::string> told;

void keep(otlpkit::diagnostic_level, std::string_view message) {
  const std::lock_guard lock{told_mutex};
  told.emplace_back(message);
}

bool was_told(std::string_view part) {
  const std::lock_guard lock{told_mutex};
  for (const auto& t : told) {
    if (t.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("without telemetry spans do nothing") {
  OTLPKIT_SPAN("nothing", {"a", 1});
  CHECK_FALSE(otlpkit::current_span().recording());
}

TEST_CASE("telemetry can be shut down and made again") {
  for (int i = 1; i <= 5; ++i) {
    const auto memory = std::make_shared<memory_exporter>();
    otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
    record(static_cast<std::size_t>(i));
    if (i % 2 == 0) CHECK(telemetry.shutdown());
    telemetry.flush();
    CHECK(memory->items(signal::traces) == static_cast<std::size_t>(i));
    CHECK(telemetry.books().spans().recorded == static_cast<std::size_t>(i));
  }
}

TEST_CASE("a second telemetry object says so and does nothing") {
  const auto first = std::make_shared<memory_exporter>();
  const auto second = std::make_shared<memory_exporter>();
  auto s = settings_for({first});
  s.diagnostics = &keep;
  otlpkit::telemetry telemetry{s, no_variables};
  {
    auto t = settings_for({second});
    t.diagnostics = &keep;
    otlpkit::telemetry other{t, no_variables};
    CHECK(was_told("lives already"));
    record(3);
    CHECK(other.flush());
    CHECK(other.shutdown());
    CHECK(other.books().spans().recorded == 0);
  }
  record(2);
  CHECK(telemetry.flush());
  CHECK(first->items(signal::traces) == 5);
  CHECK(second->items(signal::traces) == 0);
}

TEST_CASE("OTEL_SDK_DISABLED leaves a telemetry object that does nothing") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), otlpkit::environment{{"OTEL_SDK_DISABLED", "true"}}};
  record(3);
  {
    OTLPKIT_SPAN("nothing");
    CHECK_FALSE(otlpkit::current_span().recording());
  }
  CHECK(telemetry.flush());
  CHECK(telemetry.shutdown());
  CHECK(memory->items(signal::traces) == 0);
  CHECK(telemetry.books().spans().recorded == 0);
  otlpkit::telemetry enabled{settings_for({memory}), no_variables};  // it takes nobody's place
  record(3);
  CHECK(enabled.flush());
  CHECK(memory->items(signal::traces) == 3);
}

TEST_CASE("books can be read while telemetry lives and stay after its end") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  CHECK(telemetry.books().spans().recorded == 0);
  record(3);
  telemetry.flush();
  CHECK(telemetry.books().spans().recorded == 3);
  memory->fail_as(drop_reason::rejected);
  record(2);
  telemetry.flush();
  CHECK(telemetry.books().spans().dropped(drop_reason::rejected) == 2);
  telemetry.shutdown();
  CHECK(telemetry.books().spans().recorded == 5);
  CHECK(telemetry.books().spans().delivered == 3);
}

TEST_CASE("the resource names the service") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  record(1);
  telemetry.flush();
  const auto batches = memory->batches(signal::traces);
  REQUIRE(batches.size() == 1);
  CHECK(otlpkit::resource_view{batches[0]->resource()}.service_name() == "test");
}

TEST_CASE("the last collection of metrics arrives, with no span or log record waiting beside it") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  for (int i = 0; i < 7; ++i) OTLPKIT_COUNTER("test.last_collection", {"n", i}).add();
  CHECK(telemetry.shutdown(20s));
  CHECK(memory->items(signal::metrics) >= 7);
  const otlpkit::sdk::signal_books metrics = telemetry.books().metric_points();
  CHECK(metrics.delivered == memory->items(signal::metrics));
  CHECK(metrics.dropped() == 0);
}

TEST_CASE("views and the default aggregation of the settings decide what is exported") {
  const auto memory = std::make_shared<memory_exporter>();
  auto s = settings_for({memory});
  s.views = {{.match = {.name = "test.renamed"}, .name = "test.by_country", .keep = {"country"}},
             {.match = {.name = "test.unwanted*"}, .aggregation = otlpkit::aggregation::drop()}};
  const otlpkit::environment exponential{
      {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"}};
  otlpkit::telemetry telemetry{s, exponential};
  OTLPKIT_COUNTER("test.renamed", {"country", "de"}, {"user", 1}).add(2);
  OTLPKIT_COUNTER("test.renamed", {"country", "de"}, {"user", 2}).add(3);
  OTLPKIT_COUNTER("test.unwanted.a").add();  // dropped
  OTLPKIT_HISTOGRAM("test.exponential").record(1.5);
  CHECK(telemetry.flush(20s));
  std::map<std::string, metric_points::metric> seen;
  for (const auto& b : memory->batches(signal::metrics)) {
    for (auto& m : metric_points::decode(b->scopes())) seen[m.name] = m;
  }
  CHECK(seen.count("test.renamed") == 0);
  CHECK(seen.count("test.unwanted.a") == 0);
  REQUIRE(seen["test.by_country"].points.size() == 1);
  CHECK(seen["test.by_country"].points[0].integer == 5);
  CHECK(seen["test.by_country"].points[0].labels == std::map<std::string, std::string>{{"country", "de"}});
  CHECK(seen["test.exponential"].data == 10);
}
