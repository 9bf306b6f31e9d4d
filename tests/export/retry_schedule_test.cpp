// SPDX-License-Identifier: MIT
#include <otlpkit/export/retry_schedule.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <random>

using namespace std::chrono_literals;
using otlpkit::exporters::retry_options;
using otlpkit::exporters::retry_schedule;
using decision = retry_schedule::decision;

namespace {
const retry_schedule::clock::time_point start{1000s};
}

TEST_CASE("without jitter the waits grow by the multiplier up to the longest") {
  retry_schedule schedule{{.jitter = 0}};
  const std::chrono::nanoseconds expected[] = {1s, 1500ms, 2250ms, 3375ms, 5s, 5s};
  for (const auto wait : expected) {
    const auto step = schedule.failed(start, 0.7);
    CHECK(step.what == decision::retry);
    CHECK(step.delay == wait);
    CHECK_FALSE(step.asked);
  }
  CHECK(schedule.retries() == 6);
}

TEST_CASE("jitter takes up to its share off a wait and never adds to it") {
  std::mt19937_64 random{7};
  std::uniform_real_distribution<double> draw{0, 1};
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    retry_schedule schedule{retry_options{}};
    const auto delay = schedule.failed(start, draw(random)).delay;
    CHECK(delay >= 500ms);
    CHECK(delay <= 1s);
    low = low || delay < 600ms;
    high = high || delay > 900ms;
  }
  CHECK(low);
  CHECK(high);
}

TEST_CASE("no attempt is planned at or after the deadline") {
  retry_schedule schedule{{.jitter = 0}, start + 1s};
  CHECK(schedule.failed(start + 1ms, 0).what == decision::out_of_time);
  CHECK(schedule.retries() == 0);

  retry_schedule later{{.jitter = 0}, start + 1s + 2ms};
  CHECK(later.failed(start + 1ms, 0).what == decision::retry);
  CHECK(later.failed(start + 2s, 0).what == decision::out_of_time);
}

TEST_CASE("without a deadline it never gives up") {
  retry_schedule schedule{retry_options{}};
  for (int i = 0; i < 10'000; ++i) CHECK(schedule.failed(start + i * 1h, 0.5).what == decision::retry);
}

TEST_CASE("Retry-After replaces the back-off") {
  retry_schedule schedule{{.jitter = 0}, start + 10s};
  const auto step = schedule.failed(start, 0, 3s);
  CHECK(step.what == decision::retry);
  CHECK(step.delay == 3s);
  CHECK(step.asked);
}

TEST_CASE("a Retry-After that the deadline does not leave ends the export at once, with the wait told") {
  retry_schedule schedule{retry_options{}, start + 10s};
  const auto step = schedule.failed(start, 0, 3600s);
  CHECK(step.what == decision::retry_after_too_long);
  CHECK(step.delay == 3600s);
}

TEST_CASE("Retry-After zero is honoured once, then the server is spared") {
  retry_schedule schedule{{.jitter = 0}, start + 10s};
  CHECK(schedule.failed(start, 0, 0s).delay == 0s);
  CHECK(schedule.failed(start, 0, 0s).delay == 1s);
  CHECK(schedule.failed(start, 0, -5s).delay == 1s);
  CHECK(schedule.failed(start, 0, 2s).delay == 2s);
}

TEST_CASE("the deadline can be moved forward only") {
  retry_schedule schedule{{.jitter = 0}, start + 10s};
  schedule.tighten(start + 20s);
  CHECK(schedule.deadline() == start + 10s);
  schedule.tighten(start + 500ms);
  CHECK(schedule.failed(start, 0).what == decision::out_of_time);
}

TEST_CASE("whatever the options, the waits stay within zero and the longest, and add up to less than the deadline") {
  std::mt19937_64 random{42};
  std::uniform_real_distribution<double> draw{0, 1};
  for (int round = 0; round < 500; ++round) {
    const retry_options options{.initial_backoff = std::chrono::milliseconds{1 + random() % 3000},
                                .max_backoff = std::chrono::milliseconds{1 + random() % 8000},
                                .multiplier = 1 + draw(random) * 4,
                                .jitter = draw(random)};
    retry_schedule schedule{options, start + 10s};
    auto now = start;
    for (;;) {
      const auto step = schedule.failed(now, draw(random));
      if (step.what != decision::retry) break;
      CHECK(step.delay >= 0ns);
      CHECK(step.delay <= options.max_backoff);
      now += step.delay + 1ms;
      REQUIRE(now < start + 10s + 1ms);
    }
  }
}
