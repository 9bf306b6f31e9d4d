// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/sdk/metric_reader.hpp>
#include <otlpkit/sdk/self_metrics.hpp>
#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <support/emitted.hpp>
#include <support/finalized.hpp>
#include <support/metric_points.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
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

/// For the table in docs/telemetry.md.
void emit(const testing::memory_exporter& memory) {
  for (const auto& b : memory.batches(sdk::signal::metrics)) support::emitted_metrics(b->scopes());
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
  t.flush();  // of the first collections there is something to measure by now
  emit(*memory);

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
  emit(*memory);
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
  telemetry t{{.traces = {.max_queue_size = 64, .max_export_batch_size = 16},
               .logs = {.max_queue_size = 64, .max_export_batch_size = 16},
               .exporters = {memory},
               .max_queue_bytes = 16'384,
               .self_metrics = true},
              nothing};
  for (int i = 0; i < 20'000; ++i) {
    OTLPKIT_INFO("m", {"i", i});
    OTLPKIT_SPAN("s");
  }
  t.flush();
  const auto books = t.books().log_records();
  t.flush();
  const auto processed = latest(*memory, "otel.sdk.processor.log.processed");
  const std::int64_t full = total(processed, component("batching_log_processor", {{"error.type", "queue_full"}}));
  CHECK(full == static_cast<std::int64_t>(books.dropped(sdk::drop_reason::queue_full)));
  CHECK(full > 0);
  emit(*memory);
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
  sdk::metric_reader reader{sdk::metric_reader_options{}};
  const auto b = std::make_shared<const sdk::batch>(sdk::signal::traces, std::make_shared<const std::string>(),
                                                    std::vector{sdk::scope_items{{}, {}, 7}});
  observed->send(b, [](sdk::export_result) {});
  const auto collected = reader.collect(platform::wall_ns());
  const auto exported = metric_points::named(collected, "otel.sdk.exporter.span.exported");
  CHECK(total(exported, component("memory_exporter", {{"server.address", "collector"}, {"server.port", "4318"}})) == 7);
  support::emitted_metrics(collected);
}

namespace {

/// Answers every batch at once, with an HTTP status.
struct answering_exporter : sdk::exporter {
  unsigned status = 0;
  std::size_t dropped = 0;
  [[nodiscard]] std::string_view name() const noexcept override { return "answering_exporter"; }
  [[nodiscard]] bool accepts(sdk::signal) const noexcept override { return true; }
  void send(std::shared_ptr<const sdk::batch>, completion done) override {
    done({dropped, dropped == 0 ? sdk::drop_reason::none : sdk::drop_reason::rejected, status});
  }
};

}  // namespace

TEST_CASE("the duration of an export has the status an HTTP server answered") {
  const auto inner = std::make_shared<answering_exporter>();
  const auto observed = sdk::self_metrics::observe(inner, "collector", 4318);
  sdk::metric_reader reader{sdk::metric_reader_options{}};
  const auto b = std::make_shared<const sdk::batch>(sdk::signal::logs, std::make_shared<const std::string>(),
                                                    std::vector{sdk::scope_items{{}, {}, 7}});
  const auto of_kind = std::make_shared<const sdk::batch>(sdk::signal::metrics, std::make_shared<const std::string>(),
                                                          std::vector{sdk::scope_items{{}, {}, 2}});
  for (const auto& [status, dropped] : {std::pair{200u, 0u}, {400u, 7u}}) {
    inner->status = status;
    inner->dropped = dropped;
    observed->send(b, [](sdk::export_result) {});
    observed->send(of_kind, [](sdk::export_result) {});
  }
  const auto collected = reader.collect(platform::wall_ns());
  support::emitted_metrics(collected);
  std::map<std::string, std::pair<std::string, std::uint64_t>> seen;
  for (const auto& p : metric_points::named(collected, "otel.sdk.exporter.operation.duration").points) {
    const auto error = p.labels.find("error.type");
    seen[p.labels.at("http.response.status_code")] = {error == p.labels.end() ? "" : error->second, p.count};
  }
  CHECK(seen.size() == 2);
  CHECK(seen["200"] == std::pair<std::string, std::uint64_t>{"", 2});
  CHECK(seen["400"] == std::pair<std::string, std::uint64_t>{"rejected", 2});
}

TEST_CASE("every span that begins is counted by its parent and by the sampler's decision, and those alive by it too") {
  struct by_name final : sampler {
    sampling_decision should_sample(const sampling_parameters& span, sampling_changes&) noexcept override {
      return span.name == "dropped"    ? sampling_decision::drop
             : span.name == "recorded" ? sampling_decision::record_only
                                       : sampling_decision::record_and_sample;
    }
    std::string_view description() const noexcept override { return "by_name"; }
  };
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.exporters = {memory}, .sampler = {.custom = std::make_shared<by_name>()}, .self_metrics = true},
              nothing};
  const auto begun = [&](std::string origin, std::string result) {
    return total(latest(*memory, "otel.sdk.span.started"),
                 {{"otel.span.parent.origin", std::move(origin)}, {"otel.span.sampling_result", std::move(result)}});
  };
  const auto alive = [&](std::string result) {
    return total(latest(*memory, "otel.sdk.span.live"), {{"otel.span.sampling_result", std::move(result)}});
  };
  const span_context remote{{{1, 2}}, {3}, flag_sampled, true, {}};
  {
    const span_guard kept{"kept"};
    { const span_guard child{"kept child"}; }
    const span_guard only_recorded{"recorded"};
    { const span_guard dropped{"dropped", {}, {.parent = no_parent}}; }
    { const span_guard far{"far", {}, {.parent = remote}}; }
    span held{"held", {}, {.parent = no_parent}};
    t.flush();
    emit(*memory);
    CHECK(begun("none", "RECORD_AND_SAMPLE") == 2);
    CHECK(begun("local", "RECORD_AND_SAMPLE") == 1);
    CHECK(begun("remote", "RECORD_AND_SAMPLE") == 1);
    CHECK(begun("local", "RECORD_ONLY") == 1);
    CHECK(begun("none", "DROP") == 1);
    CHECK(alive("RECORD_AND_SAMPLE") == 2);
    CHECK(alive("RECORD_ONLY") == 1);
    CHECK(alive("DROP") == -1);  // no such series
    held.end();
    held.end();
  }
  t.flush();
  CHECK(alive("RECORD_AND_SAMPLE") == 0);
  CHECK(alive("RECORD_ONLY") == 0);
}

TEST_CASE("threads that begin and end spans meanwhile lose no count") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.exporters = {memory}, .max_queue_bytes = std::size_t{64} << 20, .self_metrics = true}, nothing};
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([] {
      for (int i = 0; i < 500; ++i) {
        OTLPKIT_SPAN("root");
        OTLPKIT_SPAN("child");
      }
    });
  }
  t.flush();
  for (std::thread& thread : threads) thread.join();
  t.flush();
  const auto started = latest(*memory, "otel.sdk.span.started");
  CHECK(total(started, {{"otel.span.parent.origin", "none"}, {"otel.span.sampling_result", "RECORD_AND_SAMPLE"}}) ==
        2000);
  CHECK(total(started, {{"otel.span.parent.origin", "local"}, {"otel.span.sampling_result", "RECORD_AND_SAMPLE"}}) ==
        2000);
  CHECK(total(latest(*memory, "otel.sdk.span.live"), {{"otel.span.sampling_result", "RECORD_AND_SAMPLE"}}) == 0);
}

TEST_CASE("the size of the queue counts what waits in chunks threads are still filling") {
  otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
  const auto waiting = r.logs.unread();
  r.mode.store(otlpkit::detail::mode_logs | otlpkit::detail::global_log_levels.mode(), platform::release);
  for (int i = 0; i < 5; ++i) OTLPKIT_INFO("m");
  CHECK(r.logs.unread() == waiting + 5);
  int taken = 0;
  r.logs.drain([&](std::uint16_t, std::string_view) { return ++taken < 2; });
  CHECK(r.logs.unread() == waiting + 3);
  for (int i = 0; i < 500; ++i) OTLPKIT_INFO("m");  // several chunks
  CHECK(r.logs.unread() == waiting + 503);
  r.mode.store(0, platform::release);
  r.logs.drain([](std::uint16_t, std::string_view) { return true; });
  CHECK(r.logs.unread() == 0);
}

TEST_CASE("a scrape by Prometheus is measured as a collection, and one that was cut short says so") {
  sdk::metric_reader reader{sdk::metric_reader_options{}};
  sdk::self_metrics self{10, 10};
  bool complete = true;
  for (const bool done : {true, false}) {
    complete = done;
    CHECK(self.around(
              "prometheus_http_text_metric_exporter", [] { return 7; }, [&] { return complete; }) == 7);
  }
  const auto fail = []() -> int { throw std::runtime_error{"no memory"}; };
  CHECK_THROWS_AS(static_cast<void>(self.around("prometheus_http_text_metric_exporter", fail, [] { return true; })),
                  std::runtime_error);
  const auto collected = reader.collect(platform::wall_ns());
  support::emitted_metrics(collected);
  std::map<std::string, std::uint64_t> seen;
  for (const auto& p : metric_points::named(collected, "otel.sdk.metric_reader.collection.duration").points) {
    CHECK(p.labels.at("otel.component.name") == "prometheus_http_text_metric_exporter/0");
    seen[p.labels.contains("error.type") ? p.labels.at("error.type") : ""] = p.count;
  }
  CHECK(seen == std::map<std::string, std::uint64_t>{{"", 1}, {"timeout", 1}, {"failed", 1}});
}
