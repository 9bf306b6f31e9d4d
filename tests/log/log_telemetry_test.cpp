// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/log_processor.hpp>
#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <support/finalized.hpp>

#include <doctest/doctest.h>

#include <unistd.h>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

OTLPKIT_SCOPE("log.test", "1");

using namespace otlpkit;
using finalized::contains;
using finalized::nothing;

namespace {

/// What standard error gets while `work` runs.
template <class Work>
std::string standard_error(Work&& work) {
  std::FILE* const file = std::tmpfile();
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(::fileno(file), STDERR_FILENO);
  work();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  std::rewind(file);
  std::string out(1 << 16, '\0');
  out.resize(std::fread(out.data(), 1, out.size(), file));
  std::fclose(file);
  return out;
}

void check_exact(const sdk::signal_books& b) { CHECK(b.recorded == b.delivered + b.dropped()); }

}  // namespace

TEST_CASE("log records reach the exporters with resource, scope and span") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.service = "shop", .exporters = {memory}}, nothing};
  {
    OTLPKIT_SPAN("op");
    OTLPKIT_INFO("inside", {"k", 1});
  }
  REQUIRE(t.flush());
  const auto logs = memory->logs();
  const auto spans = memory->spans();
  REQUIRE(logs.size() == 1);
  REQUIRE(spans.size() == 1);
  CHECK(logs[0].service == "shop");
  CHECK(logs[0].scope == "log.test");
  CHECK(logs[0].scope_version == "1");
  CHECK(logs[0].trace_id == spans[0].trace_id);
  CHECK(logs[0].span_id == spans[0].span_id);
  CHECK(logs[0].ok);
}

TEST_CASE("the books of log records are exact with eight threads and a queue that overflows") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.service = "shop", .exporters = {memory}, .max_queue_bytes = std::size_t{128} << 10}, nothing};
  constexpr std::uint64_t each = 20'000;
  std::vector<std::thread> threads;
  for (int n = 0; n < 8; ++n) {
    threads.emplace_back([n] {
      for (std::uint64_t i = 0; i < each; ++i) OTLPKIT_INFO("work", {"thread", n}, {"i", i});
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(t.shutdown());
  const auto books = t.books().log_records();
  CHECK(books.recorded == 8 * each);
  check_exact(books);
  CHECK(books.delivered == memory->items(sdk::signal::logs));
  CHECK(memory->logs().size() == books.delivered);
}

namespace {

/// Looks at every record, and takes some out.
struct watching final : sdk::log_processor {
  std::vector<std::string> seen;
  int flushes = 0, ends = 0;
  bool on_emit(const log_view& record, const scope_view& scope) override {
    seen.push_back(std::string{scope.name()} + ": " + std::string{record.body().as_string()});
    if (record.body().as_string() == "throws") throw std::runtime_error{"no"};
    return record.body().as_string() != "secret";
  }
  void flush() override { ++flushes; }
  void shutdown() override { ++ends; }
};

}  // namespace

TEST_CASE("processors see every log record in order, and what one takes out is neither exported nor seen by the next") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  const auto first = std::make_shared<watching>(), second = std::make_shared<watching>();
  sdk::books books;
  std::string said;
  {
    telemetry t{{.exporters = {memory}, .log_processors = {first, nullptr, second}}, nothing};
    OTLPKIT_INFO("one");
    OTLPKIT_INFO("secret");
    said = standard_error([&] {
      OTLPKIT_INFO("throws");
      REQUIRE(t.flush());
    });
    t.shutdown();
    books = t.books();
  }
  CHECK(first->seen == std::vector<std::string>{"log.test: one", "log.test: secret", "log.test: throws"});
  CHECK(second->seen == std::vector<std::string>{"log.test: one", "log.test: throws"});
  CHECK(memory->logs().size() == 2);
  CHECK(first->flushes >= 1);
  CHECK(first->ends == 1);
  CHECK(contains(said, "a log processor threw: no"));
  CHECK(books.log_records().recorded == 3);
  CHECK(books.log_records().delivered == 2);
  CHECK(books.log_records().dropped(sdk::drop_reason::filtered) == 1);
}

TEST_CASE("levels of the settings hold, and the next telemetry object starts anew") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  const auto bodies = [&] {
    std::string out;
    for (const auto& r : memory->logs()) out += r.body.as_string() + " ";
    memory->clear();
    return out;
  };
  const auto say = [] {
    OTLPKIT_DEBUG("debug");
    OTLPKIT_WARN("warn");
    log(severity::debug, "other");
  };
  {
    telemetry t{
        {.exporters = {memory}, .log_records = {.level = severity::info, .scopes = {{"log.*", severity::debug}}}},
        nothing};
    say();
    t.flush();
    CHECK(bodies() == "debug warn ");
    set_log_level("log.*", severity::error);
    say();
    t.flush();
    CHECK(bodies() == "");
  }
  telemetry t{{.exporters = {memory}}, nothing};
  say();
  t.flush();
  const std::string all = bodies();
  CHECK(contains(all, "debug warn"));
  CHECK(contains(all, "other"));
}

TEST_CASE("span_events mirrors log records through the whole pipeline") {
  const auto memory = std::make_shared<testing::memory_exporter>();
  telemetry t{{.exporters = {memory}, .log_records = {.span_events = true}}, nothing};
  {
    OTLPKIT_SPAN("op");
    OTLPKIT_WARN("nearly full", {"free", 3});
  }
  t.flush();
  REQUIRE(memory->spans().size() == 1);
  REQUIRE(memory->spans()[0].events.size() == 1);
  CHECK(memory->spans()[0].events[0].attributes["otlpkit.log.message"] == "nearly full");
  CHECK(memory->logs().size() == 1);
}

TEST_CASE("OTEL_LOGS_EXPORTER=console prints a line for each record to standard error") {
  const environment env{[](std::string_view name) -> std::optional<std::string> {
    if (name == "OTEL_LOGS_EXPORTER") return "console";
    if (name == "OTEL_TRACES_EXPORTER" || name == "OTEL_METRICS_EXPORTER") return "none";
    return std::nullopt;
  }};
  sdk::signal_books books;
  const std::string printed = standard_error([&] {
    telemetry t{{.service = "shop"}, env};
    OTLPKIT_INFO("hello", {"k", 1});
    OTLPKIT_ERROR("bad");
    t.shutdown();
    books = t.books().log_records();
  });
  CHECK(contains(printed, "Z INFO  hello  k=1 [log.test]\n"));
  CHECK(contains(printed, "Z ERROR bad [log.test]\n"));
  CHECK(!contains(printed, "\x1b"));
  CHECK(books.recorded == 2);
  CHECK(books.delivered == 2);
}

TEST_CASE("log records nobody takes are not made") {
  const environment env{[](std::string_view name) -> std::optional<std::string> {
    if (name == "OTEL_LOGS_EXPORTER" || name == "OTEL_TRACES_EXPORTER" || name == "OTEL_METRICS_EXPORTER")
      return "none";
    return std::nullopt;
  }};
  telemetry t{{}, env};
  CHECK(!log_enabled(severity::fatal));
  OTLPKIT_FATAL("nobody listens");
  t.shutdown();
  CHECK(t.books().log_records().recorded == 0);
}
