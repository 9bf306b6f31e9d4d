// SPDX-License-Identifier: MIT
#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <support/finalized.hpp>
#include <support/metric_points.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace otlpkit;
using finalized::nothing;

namespace {

using labels = std::map<std::string, std::string>;

/// The latest state of a metric.
metric_points::metric latest(const testing::memory_exporter& memory, std::string_view name) {
  metric_points::metric found;
  for (const auto& b : memory.batches(sdk::signal::metrics)) {
    const std::vector<sdk::scope_items> scopes(b->scopes().begin(), b->scopes().end());
    for (metric_points::metric& m : metric_points::decode(scopes)) {
      if (m.name == name) found = std::move(m);
    }
  }
  return found;
}

std::int64_t total(const metric_points::metric& m, const labels& wanted) {
  for (const auto& p : m.points) {
    if (p.labels == wanted) return p.integer;
  }
  return -1;
}

labels component(std::string type, labels more = {}) {
  more["otel.component.name"] = type + "/0";
  more["otel.component.type"] = std::move(type);
  return more;
}

}  // namespace

TEST_CASE("otlpkit does not measure itself unless asked to") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.exporters = {memory}}, nothing};
  { OTLPKIT_SPAN("op"); }
  t.flush();
  t.flush();
  CHECK(memory->items(sdk::signal::metrics) == 0);
}

TEST_CASE("processors and exporters are measured under the names of the conventions") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.exporters = {memory}, .self_metrics = true}, nothing};
  for (int i = 0; i < 3; ++i) {
    OTLPKIT_SPAN("op");
    OTLPKIT_INFO("m");
  }
  OTLPKIT_INFO("m");
  t.flush();
  t.flush();

  const auto check_sum = [&](std::string_view name, std::string_view unit, bool monotonic) {
    const auto m = latest(*memory, name);
    CAPTURE(name);
    CHECK(m.data == 7);
    CHECK(m.unit == unit);
    CHECK(m.monotonic == monotonic);
    CHECK(!m.description.empty());
    return m;
  };
  const labels exporter = component("memory_exporter");
  const labels spans = component("batching_span_processor"), logs = component("batching_log_processor");
  CHECK(total(check_sum("otel.sdk.processor.span.processed", "{span}", true), spans) == 3);
  CHECK(total(check_sum("otel.sdk.processor.span.queue.capacity", "{span}", false), spans) == 2048);
  CHECK(total(check_sum("otel.sdk.processor.span.queue.size", "{span}", false), spans) == 0);
  CHECK(total(check_sum("otel.sdk.processor.log.processed", "{log_record}", true), logs) == 4);
  CHECK(total(check_sum("otel.sdk.processor.log.queue.capacity", "{log_record}", false), logs) == 2048);
  CHECK(total(check_sum("otel.sdk.processor.log.queue.size", "{log_record}", false), logs) == 0);
  CHECK(total(check_sum("otel.sdk.log.created", "{log_record}", true), {}) == 4);
  CHECK(total(check_sum("otel.sdk.exporter.span.exported", "{span}", true), exporter) == 3);
  CHECK(total(check_sum("otel.sdk.exporter.span.inflight", "{span}", false), exporter) == 0);
  CHECK(total(check_sum("otel.sdk.exporter.log.exported", "{log_record}", true), exporter) == 4);
  CHECK(total(check_sum("otel.sdk.exporter.log.inflight", "{log_record}", false), exporter) == 0);
  CHECK(total(check_sum("otel.sdk.exporter.metric_data_point.exported", "{data_point}", true), exporter) > 0);
  CHECK(total(check_sum("otel.sdk.exporter.metric_data_point.inflight", "{data_point}", false), exporter) == 0);
  CHECK(total(check_sum("otlpkit.exporter.bytes", "By", true), exporter) > 100);

  for (const auto& [name, who] :
       {std::pair{"otel.sdk.exporter.operation.duration", exporter},
        std::pair{"otel.sdk.metric_reader.collection.duration", component("periodic_metric_reader")}}) {
    const auto m = latest(*memory, name);
    CAPTURE(name);
    CHECK(m.data == 9);
    CHECK(m.unit == "s");
    REQUIRE(m.points.size() == 1);
    CHECK(m.points[0].labels == who);
    CHECK(m.points[0].bounds.empty());
    CHECK(m.points[0].counts.size() == 1);
    CHECK(m.points[0].sum >= 0);
    CHECK(m.points[0].sum < 60);
  }
}

TEST_CASE("what is lost is measured with its reason") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.exporters = {memory}, .self_metrics = true}, nothing};
  memory->fail_as(sdk::drop_reason::rejected);
  { OTLPKIT_SPAN("op"); }
  t.flush();
  memory->fail_as(sdk::drop_reason::none);
  t.flush();
  const auto exported = latest(*memory, "otel.sdk.exporter.span.exported");
  CHECK(total(exported, component("memory_exporter", {{"error.type", "rejected"}})) == 1);
  CHECK(total(exported, component("memory_exporter")) == 0);
  bool failed = false;
  for (const auto& p : latest(*memory, "otel.sdk.exporter.operation.duration").points) {
    failed = failed || (p.labels.contains("error.type") && p.count > 0);
  }
  CHECK(failed);
}

TEST_CASE("what a full queue drops is measured, and the counts agree with the books") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.logs = {.max_queue_size = 64, .max_export_batch_size = 16},
               .exporters = {memory},
               .max_queue_bytes = 16'384,
               .self_metrics = true},
              nothing};
  for (int i = 0; i < 20'000; ++i) OTLPKIT_INFO("m", {"i", i});
  t.flush();
  const auto books = t.books().log_records();
  t.flush();
  const auto processed = latest(*memory, "otel.sdk.processor.log.processed");
  const std::int64_t full = total(processed, component("batching_log_processor", {{"error.type", "queue_full"}}));
  CHECK(full == static_cast<std::int64_t>(books.dropped(sdk::drop_reason::queue_full)));
  CHECK(full > 0);
  CHECK(total(processed, component("batching_log_processor")) == static_cast<std::int64_t>(books.recorded) - full);
  CHECK(total(latest(*memory, "otel.sdk.log.created"), {}) == 20'000);
}

TEST_CASE("measuring makes nothing to be measured: an idle program's metrics stay as many") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.exporters = {memory}, .self_metrics = true}, nothing};
  std::vector<std::size_t> points;
  for (int i = 0; i < 6; ++i) {
    memory->clear();
    t.flush();
    points.push_back(memory->items(sdk::signal::metrics));
  }
  CHECK(points[5] == points[3]);
  CHECK(points[4] == points[3]);
  CHECK(memory->items(sdk::signal::traces) == 0);
  CHECK(memory->items(sdk::signal::logs) == 0);
}

TEST_CASE("the counts of a telemetry object begin at zero, and its last collection has what was recorded before") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  {
    telemetry t{{.exporters = {memory}, .self_metrics = true}, nothing};
    for (int i = 0; i < 5; ++i) OTLPKIT_INFO("m");
  }
  CHECK(total(latest(*memory, "otel.sdk.log.created"), {}) == 5);
  CHECK(total(latest(*memory, "otel.sdk.processor.log.processed"), component("batching_log_processor")) == 5);
}

TEST_CASE("an exporter that sends to a server is measured with its address") {
  const environment env{[](std::string_view name) -> std::optional<std::string> {
    if (name == "OTLPKIT_SELF_METRICS") return "true";
    return std::nullopt;
  }};
  CHECK(finalized::from({}, env).self_metrics);
  const auto inner = std::make_shared<testing::memory_exporter>();
  const auto observed = sdk::self_metrics::observe(inner, "collector", 4318);
  const sdk::metric_reader_options options;
  sdk::metric_reader reader{options};
  const auto b = std::make_shared<const sdk::batch>(sdk::signal::traces, std::make_shared<const std::string>(),
                                                    std::vector{sdk::scope_items{{}, {}, 7}});
  observed->send(b, [](sdk::export_result) {});
  const auto exported = metric_points::named(reader.collect(platform::wall_ns()), "otel.sdk.exporter.span.exported");
  CHECK(total(exported, component("memory_exporter", {{"server.address", "collector"}, {"server.port", "4318"}})) == 7);
}
