// SPDX-License-Identifier: MIT
#include <otlpkit/core/clock.hpp>
#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

using namespace otlpkit;

namespace {

std::atomic<std::uint64_t> ticks{0};
std::uint64_t test_ticks() noexcept { return ticks.load(std::memory_order_relaxed); }

constexpr std::uint64_t second = 1'000'000'000;

}  // namespace

TEST_CASE("an anchor maps ticks after and before it") {
  const clock_anchor one_to_one = clock_anchor::through(1'000, 5 * second, std::uint64_t{1} << 32);
  CHECK(one_to_one.at(1'000) == 5 * second);
  CHECK(one_to_one.at(1'007) == 5 * second + 7);
  CHECK(one_to_one.at(990) == 5 * second - 10);

  const clock_anchor three_ghz = clock_anchor::through(0, second, (std::uint64_t{1} << 32) / 3);
  CHECK(three_ghz.at(3'000) - second <= 1'000);
  CHECK(three_ghz.at(3'000) - second >= 999);
  const std::uint64_t year = 365 * 24 * 3600 * second;
  CHECK(three_ghz.at(3 * year) - second > year - second);
}

TEST_CASE("a multiplication with 64 bits below the point loses nothing above it") {
  CHECK(platform::multiply_shift_32(-1, std::int64_t{1} << 32) == -1);
  CHECK(platform::multiply_shift_32(INT64_MAX, std::int64_t{1} << 32) == INT64_MAX);
  CHECK(platform::multiply_shift_32(-(std::int64_t{1} << 62), std::int64_t{1} << 31) == -(std::int64_t{1} << 61));
}

TEST_CASE("the calibrated clock agrees with the system's") {
  tick_clock clock;
  clock.calibrate();
  for (int i = 0; i < 3; ++i) {
    const unix_ns before = platform::wall_ns();
    const unix_ns now = clock.wall_now();
    const unix_ns after = platform::wall_ns();
    CHECK(now + 2'000'000 >= before);
    CHECK(now <= after + 2'000'000);
    clock.recalibrate();
  }
}

TEST_CASE("times on one anchor never go back, also across recalibrations") {
  tick_clock clock;
  clock.calibrate();
  const clock_anchor anchor = clock.anchor();
  unix_ns last = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (i % 1'000 == 0) clock.recalibrate();
    const unix_ns now = anchor.at(clock.now());
    CHECK(now >= last);
    last = now;
  }
}

TEST_CASE("a step of the wall clock moves new traces and bends none that is under way") {
  support::recording spans;
  tick_clock& clock = detail::global_runtime.clock;
  ticks = 1'000;
  clock.use(&test_ticks, 100 * second);
  {
    span_guard root{"root"};
    ticks += 10;
    clock.use(&test_ticks, 50 * second);  // the wall clock was set back
    {
      span_guard child{"child"};
      ticks += 10;
      child.event("e");
      ticks += 10;
    }
    { span_guard other{"other", {}, {.parent = no_parent}}; }
    ticks += 10;
  }
  clock.calibrate();
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  CHECK(all[0].start == 100 * second + 10);
  CHECK(all[0].events.at(0).time == 100 * second + 20);
  CHECK(all[0].end == 100 * second + 30);
  CHECK(all[1].name == "other");
  CHECK(all[1].start == 50 * second + 20);
  CHECK(all[2].start == 100 * second);
  CHECK(all[2].end == 100 * second + 40);
}

TEST_CASE("a child of a span elsewhere is placed by this process's own clock") {
  support::recording spans;
  tick_clock& clock = detail::global_runtime.clock;
  ticks = 0;
  clock.use(&test_ticks, 7 * second);
  ticks += 5;
  { span s{"served", {}, {.parent = support::remote_context(true)}}; }
  clock.calibrate();
  CHECK(spans.take_one().start == 7 * second + 5);
}

TEST_CASE("anchors read while another thread recalibrates are never torn") {
  tick_clock clock;
  ticks = 0;
  constexpr unix_ns ahead = 1'700'000'000 * second;  // wall = ticks + ahead, whatever was published when
  clock.use(&test_ticks, ahead);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> reads{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const std::uint64_t tick = clock.now();
        if (clock.wall_at(tick) != tick + ahead) ++wrong;
        ++reads;
      }
    });
  }
  for (int i = 0; i < 20'000 || reads < 1'000; ++i) {
    ticks += 1'000'003;
    clock.use(&test_ticks, ticks + ahead);
    if (i % 16 == 0) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& t : readers) t.join();
  CHECK(wrong == 0);
}
