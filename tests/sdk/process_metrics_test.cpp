// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/sdk/metric_reader.hpp>
#include <otlpkit/sdk/process_metrics.hpp>

#include <support/emitted.hpp>
#include <support/metric_points.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace otlpkit;

namespace {

std::int64_t only(const std::vector<sdk::scope_items>& scopes, std::string_view name, std::string_view unit) {
  const auto m = metric_points::named(scopes, name);
  CAPTURE(name);
  CHECK(m.data == 7);
  CHECK(!m.monotonic);
  CHECK(m.unit == unit);
  REQUIRE(m.points.size() == 1);
  return m.points[0].integer;
}

std::vector<sdk::scope_items> collect(sdk::metric_reader& reader) { return reader.collect(platform::wall_ns()); }

}  // namespace

TEST_CASE("a process is measured under the names of the conventions") {
  sdk::metric_reader reader;
  const process_metrics process;
  volatile std::uint64_t work = 0;
  while (platform_host::usage().user_seconds.value_or(1) < 0.02) work = work + 1;
  const auto first = collect(reader);
  support::emitted_metrics(first);
  CHECK(only(first, "process.memory.usage", "By") > 500'000);
  CHECK(only(first, "process.memory.virtual", "By") >= only(first, "process.memory.usage", "By"));
  CHECK(only(first, "process.thread.count", "{thread}") >= 1);
  CHECK(only(first, "process.unix.file_descriptor.count", "{file_descriptor}") >= 1);
  const auto cpu = metric_points::named(first, "process.cpu.time");
  CHECK(cpu.monotonic);
  CHECK(cpu.unit == "s");
  REQUIRE(cpu.points.size() == 2);
  double sum = 0;
  for (const auto& p : cpu.points) {
    CHECK((p.labels.at("cpu.mode") == "user" || p.labels.at("cpu.mode") == "system"));
    sum += p.real;
  }
  CHECK(sum >= 0.02);
  CHECK(sum < 600);
}

TEST_CASE("threads and open files are counted as they come and go") {
  sdk::metric_reader reader;
  const process_metrics process;
  const auto files = [&] { return only(collect(reader), "process.unix.file_descriptor.count", "{file_descriptor}"); };
  const std::int64_t before = files();
  std::FILE* const a = std::tmpfile();
  std::FILE* const b = std::tmpfile();
  CHECK(files() == before + 2);
  std::fclose(a);
  std::fclose(b);
  CHECK(files() == before);

  const auto threads = [&] { return only(collect(reader), "process.thread.count", "{thread}"); };
  std::promise<void> begun, stop;
  std::thread one_more{[&] {
    begun.set_value();
    stop.get_future().wait();
  }};
  begun.get_future().wait();
  const std::int64_t with_one_more = threads();  // a sanitizer's own thread among them, which came with the first one
  stop.set_value();
  one_more.join();
  // The system may count a thread for a moment after it was joined.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (threads() != with_one_more - 1 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(threads() == with_one_more - 1);
}

TEST_CASE("nothing is measured once the object is gone") {
  sdk::metric_reader reader;
  {
    const process_metrics process;
    CHECK(!collect(reader).empty());
  }
  CHECK(metric_points::named(collect(reader), "process.memory.usage").points.empty());
  const process_metrics again;
  CHECK(metric_points::named(collect(reader), "process.memory.usage").points.size() == 1);
}
