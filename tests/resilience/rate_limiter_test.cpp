// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/propagation/baggage.hpp>
#include <otlpkit/resilience/pipeline.hpp>
#include <otlpkit/resilience/rate_limiter.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <resilience/recorded.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::rate_algorithm;
using otlpkit::rate_limited_error;
using otlpkit::rate_limiter;
using otlpkit::rate_limiter_options;
using otlpkit::resilience::nanoseconds;
using otlpkit::resilience::time_point;
using otlpkit::testing::manual_time;

TEST_CASE("a limiter rejects what is too much, says when to come again, and tells it") {
  recorded out;
  manual_time time;
  const rate_limiter limiter{{.name = "lookup", .permits_per_second = 10, .burst = 2, .time = &time}};
  CHECK(limiter.describe() == "rate_limiter(10/s, burst 2)");
  {
    const otlpkit::span_guard caller{"caller"};
    CHECK(limiter.execute("find", [] { return 1; }) == 1);
    CHECK(limiter.try_acquire());
    CHECK_FALSE(limiter.try_acquire());
    std::error_code rejected;
    limiter.execute("find", rejected, [] { FAIL("no permit"); });
    CHECK(rejected == otlpkit::rejection::rate_limited);
    try {
      limiter.execute("find", [] { FAIL("no permit"); });
    } catch (const rate_limited_error& e) {
      CHECK(e.strategy() == "lookup");
      REQUIRE(e.retry_after().has_value());
      time.advance(*e.retry_after());
      limiter.execute("find", [] {});
    }
  }
  const auto spans = out.spans();
  CHECK(recorded::events(spans.at(0)) == "on_rate_limiter_rejected on_rate_limiter_rejected");
  CHECK(spans[0].events[0].attributes.at("otlpkit.rate_limiter.retry_after_ms").as_double() == doctest::Approx(100));
  CHECK(out.metric("otlpkit.rate_limiter.available_permits").at("otlpkit.rate_limiter.name=lookup") ==
        limiter.available_permits());
  CHECK(out.metric("otlpkit.resilience.events").begin()->second == 2);
}

TEST_CASE("callers wait in the queue for as long as the rate says, and no longer than their deadline") {
  recorded out;
  manual_time time;
  const rate_limiter limiter{{.name = "mail", .permits_per_second = 2, .burst = 1, .queue_limit = 2, .time = &time}};
  {
    const otlpkit::span_guard caller{"caller"};
    for (int i = 0; i < 3; ++i) limiter.execute([] {});
    const auto waits = time.take_waits();
    REQUIRE(waits.size() == 2);
    for (const nanoseconds w : waits) CHECK(w.count() == doctest::Approx(5e8));
    const otlpkit::deadline_scope soon{100ms};
    CHECK_THROWS_AS(limiter.execute([] {}), rate_limited_error);
    CHECK(time.take_waits().empty());
  }
  CHECK(recorded::events(out.spans().at(0)) ==
        "on_rate_limiter_waited on_rate_limiter_waited on_rate_limiter_rejected");
  time.advance(500ms);  // what the rejected call would have waited for was given back
  CHECK(limiter.try_acquire());
}

TEST_CASE("what a limiter tells of a call carries pipeline and operation") {
  recorded out;
  manual_time time;
  const otlpkit::pipeline p{"p", rate_limiter{{.permits_per_second = 2, .burst = 1, .queue_limit = 1, .time = &time}}};
  {
    const otlpkit::span_guard caller{"caller"};
    const otlpkit::deadline_scope later{1h};
    p.execute("caller.op", [] {});
    p.execute("caller.op", [] {});
    const otlpkit::deadline_scope soon{1ms};
    CHECK_THROWS_AS(p.execute("caller.op", [] {}), rate_limited_error);
  }
  const auto spans = out.spans();
  CHECK(recorded::events(spans.at(0)) ==
        "pipeline_executed on_rate_limiter_waited pipeline_executed on_rate_limiter_rejected pipeline_executed");
  for (const std::size_t told : {1u, 3u}) {
    CHECK(spans[0].events[told].attributes.at("pipeline.name") == "p");
    CHECK(spans[0].events[told].attributes.at("operation.key") == "caller.op");
  }
}

namespace {

/// Steady time that lets somebody else go first after it has been read.
struct interrupted_time : otlpkit::resilience::time_source {
  manual_time& inner;
  std::function<void()> after_reading{};

  explicit interrupted_time(manual_time& t) : inner{t} {}
  time_point now() noexcept override {
    const time_point read = inner.now();
    if (const auto first = std::exchange(after_reading, {})) first();
    return read;
  }
  void sleep_for(nanoseconds d) override { inner.sleep_for(d); }
};

}  // namespace

TEST_CASE("a call that is refused while another comes in gives back what it got itself") {
  manual_time time;
  interrupted_time reading{time};
  const rate_limiter limiter{{.permits_per_second = 1,
                              .burst = 1,
                              .queue_limit = 1,
                              .algorithm = rate_algorithm::sliding_window,
                              .time = &reading}};
  std::atomic<bool> other_goes{false};
  std::thread other;
  reading.after_reading = [&] {
    time.advance(1001ms);
    other = std::thread{[&] { other_goes = limiter.try_acquire(); }};
    for (int i = 0; i < 20 && !other_goes; ++i) std::this_thread::sleep_for(1ms);  // it has to wait for this call
  };
  {
    const otlpkit::deadline_scope soon{500ms};
    std::error_code refused;
    limiter.execute(refused, [] {});
  }
  other.join();
  CHECK(other_goes);
  time.advance(1001ms);
  CHECK(limiter.try_acquire());
}

TEST_CASE("each key has a limit of its own, by name or as the options find it out") {
  recorded out;
  manual_time time;
  const rate_limiter limiter{{.burst = 1,
                              .key = [] { return std::string{otlpkit::current_baggage().get("tenant")}; },
                              .max_keys = 2,
                              .time = &time}};
  const auto as_tenant = [&](const char* tenant) {
    const otlpkit::baggage_scope baggage{otlpkit::baggage{}.with("tenant", tenant)};
    return limiter.try_acquire();
  };
  CHECK(limiter.describe() == "rate_limiter(100/s, burst 1, by key)");
  CHECK(out.metric("otlpkit.rate_limiter.keys").begin()->second == 0);
  CHECK(as_tenant("a"));
  CHECK(limiter.for_key("a").available_permits() == 0);
  CHECK(limiter.for_key("b").available_permits() == 1);
  CHECK_FALSE(as_tenant("a"));
  CHECK_FALSE(limiter.for_key("a").try_acquire());
  CHECK(as_tenant("b"));
  CHECK(limiter.keys() == 2);
  CHECK(out.metric("otlpkit.rate_limiter.keys").begin()->second == 2);
  SUBCASE("and keys for which there is no room share one, until others are idle") {
    CHECK(as_tenant("c"));
    CHECK_FALSE(as_tenant("d"));
    time.advance(1s);
    CHECK(as_tenant("c"));
    CHECK(as_tenant("d"));
    CHECK(limiter.keys() == 2);
  }
}

TEST_CASE("a limiter of a sliding window lets no more through in any window, one of a token bucket does") {
  for (const auto algorithm : {rate_algorithm::token_bucket, rate_algorithm::sliding_window}) {
    manual_time time;
    const rate_limiter limiter{
        {.permits_per_second = 10, .burst = 3, .queue_limit = 0, .algorithm = algorithm, .time = &time}};
    for (int i = 0; i < 3; ++i) CHECK(limiter.try_acquire());
    time.advance(200ms);
    CHECK(limiter.try_acquire() == (algorithm == rate_algorithm::token_bucket));
  }
  CHECK(rate_limiter{{.permits_per_second = 10, .burst = 3, .queue_limit = 2}}.describe() ==
        "rate_limiter(10/s, burst 3, queue 2)");
}

TEST_CASE("a limiter says which setting makes no sense") {
  CHECK_THROWS_WITH_AS(rate_limiter{{.permits_per_second = 0}},
                       "rate_limiter_options.permits_per_second: got 0, expected above 0", otlpkit::config_error);
  CHECK_THROWS_AS(rate_limiter{{.burst = 0.5}}, otlpkit::config_error);
  CHECK_THROWS_AS((rate_limiter{{.burst = 1.5, .algorithm = rate_algorithm::sliding_window}}), otlpkit::config_error);
  CHECK_THROWS_AS(rate_limiter{{.max_keys = 0}}, otlpkit::config_error);
}

TEST_CASE("many threads together get no more than there is, whoever waits or gives up") {
  for (const auto algorithm : {rate_algorithm::token_bucket, rate_algorithm::sliding_window}) {
    manual_time time;
    const rate_limiter limiter{
        {.permits_per_second = 1, .burst = 50, .queue_limit = 3, .algorithm = algorithm, .max_keys = 8, .time = &time}};
    std::atomic<int> passed{0}, others{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 300; ++i) {
          passed += limiter.try_acquire();
          others += limiter.for_key(std::to_string((i * 7 + t) % 20)).try_acquire();
          static_cast<void>(limiter.available_permits() + static_cast<double>(limiter.keys()));
        }
      });
    }
    for (std::thread& t : threads) t.join();
    CHECK(passed + others == 50 * 9);  // the shared limit, and those of eight keys
    CHECK(limiter.keys() == 8);
  }
}

namespace {

const otlpkit::rate_limiter search_limit{{.name = "search", .permits_per_second = 10, .burst = 3}};

std::string search(const std::string& tenant, const std::string& words) {
  try {
    return search_limit.for_key(tenant).execute("search", [&] { return "results for " + words; });
  } catch (const otlpkit::rate_limited_error& e) {
    return "too many searches, retry in " + std::to_string(e.retry_after()->count() / 1'000'000) + " ms";
  }
}

}  // namespace

TEST_CASE("the page's example: the fourth search of a tenant comes too soon, another tenant's does not") {
  for (int i = 0; i < 3; ++i) CHECK(search("acme", "tea") == "results for tea");
  CHECK(search("acme", "tea").starts_with("too many searches, retry in "));
  CHECK(search("zenith", "tea") == "results for tea");
}
