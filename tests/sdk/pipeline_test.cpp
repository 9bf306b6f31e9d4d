// SPDX-License-Identifier: MIT
// What makes batches, when they go, and how exporters stand side by side.
#include "exporters.hpp"

#include <otlpkit/sdk/pipeline.hpp>
#include <otlpkit/sdk/span_processor.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace sdk_test;

TEST_CASE("no batch has more items than asked for, and none is lost on the way") {
  const auto memory = std::make_shared<memory_exporter>();
  auto s = settings_for({memory});
  s.traces.max_export_batch_size = 7;
  otlpkit::telemetry telemetry{s, no_variables};
  record(100);
  REQUIRE(telemetry.flush(10s));
  CHECK(memory->items(signal::traces) == 100);
  for (const auto& b : memory->batches(signal::traces)) CHECK(b->items() <= 7);
  CHECK(telemetry.books().spans().delivered == 100);
}

TEST_CASE("a batch ends with the span that reaches its bytes") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  const std::string large(300'000, 'x');
  for (int i = 0; i < 10; ++i) {
    OTLPKIT_SPAN("large", {"text", large});
  }
  REQUIRE(telemetry.flush(10s));
  CHECK(memory->items(signal::traces) == 10);
  CHECK(memory->batches(signal::traces).size() >= 3);
  for (const auto& b : memory->batches(signal::traces)) CHECK(b->bytes() < (std::size_t{1} << 20) + 310'000);
}

TEST_CASE("the timer sends what waits") {
  const auto memory = std::make_shared<memory_exporter>();
  auto s = settings_for({memory});
  s.traces.schedule_delay = 20ms;
  otlpkit::telemetry telemetry{s, no_variables};
  record(3);
  CHECK(eventually([&] { return memory->items(signal::traces) == 3; }));
  record(2);
  CHECK(eventually([&] { return memory->items(signal::traces) == 5; }));
}

TEST_CASE("a timer whose work throws comes again") {
  const auto memory = std::make_shared<memory_exporter>();
  const auto calls = std::make_shared<std::atomic<int>>(0);
  otlpkit::sdk::pipeline_options options;
  options.resource = std::make_shared<const std::string>();
  auto& schedule = options.signals[static_cast<std::size_t>(signal::metrics)];
  schedule.on = true;
  schedule.delay = 5ms;
  options.make_exporters = [memory](boost::asio::io_context&) {
    return std::vector<std::shared_ptr<otlpkit::sdk::exporter>>{memory};
  };
  options.collect_metrics = [calls](otlpkit::unix_ns) -> std::vector<otlpkit::sdk::scope_items> {
    if (++*calls < 3) throw std::runtime_error{"nothing to collect"};
    return {};
  };
  const auto pipeline = std::make_shared<otlpkit::sdk::pipeline>(std::move(options));
  pipeline->start();
  CHECK(eventually([&] { return *calls >= 4; }));
  CHECK(pipeline->shutdown(otlpkit::sdk::pipeline::clock::now() + 5s));
}

TEST_CASE("a full batch goes without timer and flush") {
  const auto memory = std::make_shared<memory_exporter>();
  auto s = settings_for({memory});
  s.traces.max_export_batch_size = 16;
  otlpkit::telemetry telemetry{s, no_variables};
  record(1000);
  CHECK(eventually([&] { return memory->items(signal::traces) >= 16; }));
  REQUIRE(telemetry.flush(20s));  // reads what is in the chunk that the thread goes on to fill
  const std::size_t before = memory->items(signal::traces);
  record(1000);
  CHECK(eventually([&] { return memory->items(signal::traces) > before; }));
}

TEST_CASE("a queue smaller than a chunk is sent without timer and flush") {
  const auto memory = std::make_shared<memory_exporter>();
  auto s = settings_for({memory});
  s.traces.max_export_batch_size = 16;
  s.traces.max_queue_size = 16;
  otlpkit::telemetry telemetry{s, no_variables};
  record(4000);
  CHECK(eventually([&] { return memory->items(signal::traces) >= 16; }));
}

TEST_CASE("without a trigger spans wait") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  record(3);
  CHECK(memory->items(signal::traces) == 0);
  REQUIRE(telemetry.flush(10s));
  CHECK(memory->items(signal::traces) == 3);
}

TEST_CASE("flush sends what other threads ended, living or dead") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  std::thread{[] { record(5); }}.join();
  std::atomic<int> stage{0};
  std::thread living{[&] {
    record(4);
    stage = 1;
    eventually([&] { return stage == 2; });
  }};
  REQUIRE(eventually([&] { return stage == 1; }));
  CHECK(telemetry.flush(10s));
  CHECK(memory->items(signal::traces) == 9);
  stage = 2;
  living.join();
}

TEST_CASE(
    "64 threads record while threads are born and die and flush runs: what was recorded was delivered or counted") {
  const auto memory = std::make_shared<memory_exporter>();
  auto s = settings_for({memory});
  s.traces.max_queue_size = 4096;  // full at times: drops are part of the sum
  otlpkit::telemetry telemetry{s, no_variables};
  constexpr std::size_t lines = 64, generations = 10, spans = 400;  // several chunks each
  std::atomic<std::size_t> done{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < lines; ++i) {
    threads.emplace_back([&] {
      for (std::size_t g = 0; g < generations; ++g) std::thread{[] { record(spans); }}.join();
      ++done;
    });
  }
  while (done != lines) CHECK(telemetry.flush(60s));
  for (auto& t : threads) t.join();
  CHECK(telemetry.shutdown(60s));
  const auto books = telemetry.books().spans();
  CHECK(books.recorded == lines * generations * spans);
  CHECK(books.delivered == memory->items(signal::traces));
  CHECK(books.recorded == books.delivered + books.dropped());
  CHECK(books.dropped(drop_reason::queue_full) == books.dropped());
}

TEST_CASE("flush comes to its end while threads go on recording") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) record(1);
    });
  }
  for (int i = 0; i < 5; ++i) {
    CHECK(telemetry.flush(10s));
    memory->clear();
  }
  stop = true;
  for (auto& t : threads) t.join();
  telemetry.shutdown();
  CHECK(balanced(telemetry.books().spans()));
}

TEST_CASE("flush is for what ended before it: spans that come meanwhile do not keep it") {
  auto s = settings_for({std::make_shared<recording_exporter>(4)});
  s.traces.max_export_batch_size = 4;
  otlpkit::telemetry telemetry{s, no_variables};
  record(4);
  CHECK(telemetry.flush(20s));
  CHECK(telemetry.shutdown(20s));
  CHECK(balanced(telemetry.books().spans()));
}

TEST_CASE("flush is for what ended before it: a batch of later spans may be under way when it returns") {
  const auto behind = std::make_shared<one_behind_exporter>();
  auto s = settings_for({behind});
  s.traces.max_export_batch_size = 1;
  otlpkit::telemetry telemetry{s, no_variables};
  record(1);
  bool ok = false;
  std::thread flushing{[&] { ok = telemetry.flush(20s); }};
  CHECK(eventually([&] { return behind->sent == 1; }));
  std::thread{[] { record(500); }}.join();  // more than a thread's first chunk holds: batches go
  flushing.join();
  CHECK(ok);
  CHECK_FALSE(telemetry.shutdown(50ms));
  CHECK(telemetry.books().spans().recorded == 501);
  CHECK(telemetry.books().spans().dropped(drop_reason::shutdown) == 1);
  CHECK(balanced(telemetry.books().spans()));
}

TEST_CASE("a failing exporter does not hold back the other") {
  const auto good = std::make_shared<memory_exporter>();
  std::shared_ptr<otlpkit::sdk::exporter> bad;
  SUBCASE("it refuses") {
    const auto refusing = std::make_shared<memory_exporter>();
    refusing->fail_as(drop_reason::rejected);
    bad = refusing;
  }
  SUBCASE("it throws") { bad = std::make_shared<throwing_exporter>(); }
  SUBCASE("it never completes") { bad = std::make_shared<silent_exporter>(); }
  for (const bool bad_first : {true, false}) {
    good->clear();
    std::vector<std::shared_ptr<otlpkit::sdk::exporter>> both{bad, good};
    if (!bad_first) both = {good, bad};
    otlpkit::telemetry telemetry{settings_for(both), no_variables};
    record(10);
    telemetry.flush(50ms);
    CHECK(eventually([&] { return good->items(signal::traces) == 10; }));
    telemetry.shutdown(50ms);
    CHECK(telemetry.books().spans().recorded == 10);
    CHECK(telemetry.books().spans().dropped() == 10);  // delivered is what all of them took
  }
}

TEST_CASE("an item two exporters took is delivered once") {
  const auto a = std::make_shared<memory_exporter>();
  const auto b = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({a, b}), no_variables};
  record(10);
  REQUIRE(telemetry.flush(10s));
  CHECK(a->items(signal::traces) == 10);
  CHECK(b->items(signal::traces) == 10);
  CHECK(telemetry.books().spans().delivered == 10);
  CHECK(telemetry.books().spans().dropped() == 0);
}

TEST_CASE("a full queue drops, and every drop is counted") {
  const auto blocking = std::make_shared<blocking_exporter>();
  auto s = settings_for({blocking});
  s.traces.max_queue_size = 100;
  s.traces.max_export_batch_size = 10;
  otlpkit::telemetry telemetry{s, no_variables};
  record(5000);
  std::thread{[] { record(50); }}.join();  // a thread that never finds room counts too
  const auto before = telemetry.books().spans();
  CHECK(before.dropped(drop_reason::queue_full) > 4000);
  blocking->let_go();
  CHECK(telemetry.shutdown(20s));
  const auto books = telemetry.books().spans();
  CHECK(books.recorded == 5050);
  CHECK(balanced(books));
  CHECK(books.delivered > 0);
}

TEST_CASE("the memory budget holds, and what does not fit is counted") {
  const auto blocking = std::make_shared<blocking_exporter>();
  auto s = settings_for({blocking});
  s.max_queue_bytes = 256 * 1024;
  otlpkit::telemetry telemetry{s, no_variables};
  const std::string text(10'000, 'x');
  std::size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    OTLPKIT_SPAN("large", {"text", text});
    most = std::max(most, otlpkit::detail::global_runtime.spans.memory());
  }
  const std::string huge(1'000'000, 'x');
  { OTLPKIT_SPAN("huge", {"text", huge}); }
  CHECK(most <= 256 * 1024);
  CHECK(telemetry.books().spans().dropped(drop_reason::queue_full) > 100);
  CHECK(telemetry.books().spans().dropped(drop_reason::too_large) == 1);
  blocking->let_go();
  CHECK(telemetry.shutdown(20s));
  CHECK(telemetry.books().spans().recorded == 201);
  CHECK(balanced(telemetry.books().spans()));
}

namespace {

/// Takes out spans with an odd number, and throws for the one numbered 4.
class choosy_processor final : public otlpkit::sdk::span_processor {
 public:
  std::atomic<int> seen{0}, unsampled{0}, flushed{0}, ended{0};
  std::string scope;

  [[nodiscard]] bool on_end(const otlpkit::span_view& span, const otlpkit::scope_view& from) override {
    ++seen;
    scope = from.name();
    if ((span.flags() & otlpkit::flag_sampled) == 0) ++unsampled;
    const std::int64_t i = span.attribute("i").as_int();
    if (i == 4) throw std::runtime_error{"four"};
    return i % 2 == 0;
  }
  void flush() override { ++flushed; }
  void shutdown() override { ++ended; }
};

/// Records every span and samples none.
class watching_sampler final : public otlpkit::sampler {
 public:
  otlpkit::sampling_decision should_sample(const otlpkit::sampling_parameters&,
                                           otlpkit::sampling_changes&) noexcept override {
    return otlpkit::sampling_decision::record_only;
  }
  std::string_view description() const noexcept override { return "watching"; }
};

}  // namespace

TEST_CASE("span processors see every span before it is exported, in order, and take out what they like") {
  const auto memory = std::make_shared<memory_exporter>();
  const auto first = std::make_shared<choosy_processor>();
  const auto second = std::make_shared<choosy_processor>();
  auto s = settings_for({memory});
  s.traces.max_export_batch_size = 4;
  s.span_processors = {first, nullptr, second};
  otlpkit::telemetry telemetry{s, no_variables};
  record(10);
  CHECK(telemetry.flush(20s));
  CHECK(first->flushed == 1);
  CHECK(first->ended == 0);
  CHECK(first->seen == 10);
  CHECK(second->seen == 5);
  CHECK(first->scope == "otlpkit");
  CHECK(memory->items(signal::traces) == 5);
  CHECK(telemetry.books().spans().recorded == 10);
  CHECK(telemetry.books().spans().delivered == 5);
  CHECK(telemetry.books().spans().dropped(drop_reason::filtered) == 5);
  record(3);
  CHECK(telemetry.shutdown(20s));
  CHECK(first->seen == 13);
  CHECK(first->ended == 1);
  CHECK(balanced(telemetry.books().spans()));
}

TEST_CASE("spans that are recorded and not sampled reach the processors, and neither exporters nor books") {
  for (const bool watched : {true, false}) {
    CAPTURE(watched);
    const auto memory = std::make_shared<memory_exporter>();
    const auto processor = std::make_shared<choosy_processor>();
    auto s = settings_for({memory});
    s.sampler.custom = std::make_shared<watching_sampler>();
    if (watched) s.span_processors = {processor};
    otlpkit::telemetry telemetry{s, no_variables};
    record(10);
    CHECK(telemetry.flush(20s));
    CHECK(processor->seen == (watched ? 10 : 0));
    CHECK(processor->unsampled == processor->seen);
    record(10);
    CHECK(telemetry.shutdown(20s));
    CHECK(memory->items(signal::traces) == 0);
    CHECK(telemetry.books().spans().recorded == 0);
    CHECK(telemetry.books().spans().dropped() == 0);
  }
}

TEST_CASE("a span processor works without an exporter") {
  const auto processor = std::make_shared<choosy_processor>();
  auto s = settings_for({});
  s.traces.exporters = s.metrics.exporters = s.logs.exporters = std::vector<std::string>{};
  s.span_processors = {processor};
  otlpkit::telemetry telemetry{s, no_variables};
  record(10);
  CHECK(telemetry.flush(20s));
  CHECK(processor->seen == 10);
  CHECK(telemetry.books().spans().delivered == 5);
  CHECK(telemetry.shutdown(20s));
  CHECK(balanced(telemetry.books().spans()));
}

TEST_CASE("sixty-four threads that are born and die while flush runs: every span is in the books") {
  const auto memory = std::make_shared<memory_exporter>();
  auto s = settings_for({memory});
  s.traces.schedule_delay = 10ms;
  otlpkit::telemetry telemetry{s, no_variables};
  constexpr std::size_t lives = 5, spans = 100;
  std::atomic<std::size_t> running{64};
  std::vector<std::thread> parents;
  for (int i = 0; i < 64; ++i) {
    parents.emplace_back([&] {
      for (std::size_t life = 0; life < lives; ++life) std::thread{[] { record(spans); }}.join();
      --running;
    });
  }
  while (running != 0) telemetry.flush(1s);
  for (auto& t : parents) t.join();
  CHECK(telemetry.shutdown(20s));
  const auto books = telemetry.books().spans();
  CHECK(books.recorded == 64 * lives * spans);
  CHECK(balanced(books));
  CHECK(books.delivered == memory->items(signal::traces));
}
