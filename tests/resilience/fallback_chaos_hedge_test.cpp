// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/resilience/chaos.hpp>
#include <otlpkit/resilience/fallback.hpp>
#include <otlpkit/resilience/hedge.hpp>
#include <otlpkit/resilience/pipeline.hpp>
#include <otlpkit/resilience/timeout.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <resilience/down.hpp>
#include <resilience/recorded.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace chaos = otlpkit::chaos;
using otlpkit::fallback;
using otlpkit::fallback_options;
using otlpkit::resilience::hedge_schedule;
using otlpkit::resilience::latency_percentile;
using otlpkit::resilience::nanoseconds;
using otlpkit::resilience::outcome;
using otlpkit::resilience::time_point;
using otlpkit::testing::manual_time;

namespace {

constexpr time_point start{1h};

}  // namespace

TEST_CASE("a fallback answers for a call that failed, and the error stays on the span") {
  recorded out;
  const fallback answer{{.name = "stale"}, [] { return 7; }};
  CHECK(answer.describe() == "fallback(stale)");
  {
    const otlpkit::span_guard caller{"caller"};
    CHECK(answer.execute("load", [] { return 1; }) == 1);
    CHECK(answer.execute("load", []() -> int { throw down{}; }) == 7);
  }
  const auto spans = out.spans();
  CHECK(recorded::events(spans.at(0)) == "on_fallback");
  const std::string error{spans[0].attributes.at("otlpkit.fallback.error_type").as_string()};
  CHECK(error.find("down") != error.npos);
  CHECK(out.metric("otlpkit.resilience.events").size() == 1);
}

TEST_CASE("a fallback takes errors in results too, may look at them, and lets alone what it is not for") {
  const fallback code{[](const outcome& o) {
    return o.failed() ? std::error_code{} : std::error_code{1, std::generic_category()};
  }};
  CHECK_FALSE(static_cast<bool>(code.execute([] { return std::make_error_code(std::errc::timed_out); })));
  const fallback only{fallback_options{.should_handle = otlpkit::resilience::handles<down>()}, [] { return 7; }};
  CHECK(only.execute([]() -> int { throw down{}; }) == 7);
  CHECK_THROWS_AS(static_cast<void>(only.execute([]() -> int { throw std::logic_error{"x"}; })), std::logic_error);
  int done = 0;
  const fallback nothing{[&] { ++done; }};
  nothing.execute([] { throw down{}; });
  CHECK(done == 1);
  const fallback fails{[]() -> int { throw std::logic_error{"no answer either"}; }};
  CHECK_THROWS_AS(static_cast<void>(fails.execute([]() -> int { throw down{}; })), std::logic_error);
}

TEST_CASE("chaos strikes as often as told, the same calls for the same seed, and never when it is off") {
  const auto struck = [](chaos::chaos_options options) {
    const chaos::fault fault{std::move(options)};
    std::string pattern;
    for (int i = 0; i < 10'000; ++i) {
      try {
        fault.execute([] {});
        pattern += '.';
      } catch (const chaos::injected_fault&) {
        pattern += 'x';
      }
    }
    return pattern;
  };
  const std::string a = struck({.injection_rate = 0.1, .seed = 1}), b = struck({.injection_rate = 0.1, .seed = 1});
  CHECK(a == b);
  CHECK(a != struck({.injection_rate = 0.1, .seed = 2}));
  CHECK(struck({.injection_rate = 0.1}) != struck({.injection_rate = 0.1}));
  const auto count = std::count(a.begin(), a.end(), 'x');
  CHECK((count > 900 && count < 1100));
  CHECK(std::count_if(a.begin(), a.end(), [](char c) { return c == 'x'; }) == count);
  CHECK(struck({.injection_rate = 0}).find('x') == std::string::npos);
  CHECK(struck({.injection_rate = 1}).find('.') == std::string::npos);
  CHECK(struck({.injection_rate = 1, .enabled = [] { return false; }}).find('x') == std::string::npos);
  CHECK(struck({.injection_rate = 0, .injection_rate_generator = [] { return 1.0; }}).find('.') == std::string::npos);
  CHECK_THROWS_AS(chaos::fault{{.injection_rate = 1.5}}, otlpkit::config_error);
}

TEST_CASE("chaos throws, waits, answers or acts, and tells it") {
  recorded out;
  manual_time time;
  const chaos::chaos_options always{.injection_rate = 1, .time = &time};
  {
    const otlpkit::span_guard caller{"caller"};
    CHECK_THROWS_AS((chaos::fault{always, [] { throw down{}; }}.execute([] { FAIL("struck"); })), down);
    CHECK(chaos::latency{always, 5s}.execute([] { return 1; }) == 1);
    CHECK((chaos::outcome{always, [] { return 2; }}.execute([] { return 1; }) == 2));
    int acts = 0;
    CHECK((chaos::behavior{always, [&] { ++acts; }}.execute([&] { return acts; }) == 1));
  }
  CHECK(time.take_waits() == std::vector<nanoseconds>{5s});
  CHECK(recorded::events(out.spans().at(0)) == "chaos.on_fault chaos.on_latency chaos.on_outcome chaos.on_behavior");
  CHECK(chaos::latency{always, 5s}.describe() == "chaos::latency(5 s)");
}

TEST_CASE("what fallback, timeout and chaos tell of a call carries pipeline and operation") {
  recorded out;
  manual_time time;
  const chaos::chaos_options always{.injection_rate = 1, .time = &time};
  const otlpkit::pipeline drill{"drill",
                                fallback{[] { return 7; }},
                                otlpkit::timeout{{.limit = 1s, .time = &time}},
                                chaos::latency{always, 2s},
                                chaos::behavior{always, [] {}},
                                chaos::outcome{{.injection_rate = 0, .time = &time}, [] { return 2; }},
                                chaos::fault{always}};
  const otlpkit::pipeline answered{"drill", chaos::outcome{always, [] { return 2; }}};
  {
    const otlpkit::span_guard caller{"caller"};
    CHECK(drill.execute("caller.op", [] { return 1; }) == 7);
    CHECK(answered.execute("caller.op", [] { return 1; }) == 2);
  }
  const auto spans = out.spans();
  CHECK(recorded::events(spans.at(0)) ==
        "chaos.on_latency chaos.on_behavior chaos.on_fault on_timeout on_fallback pipeline_executed chaos.on_outcome "
        "pipeline_executed");
  for (const auto& e : spans[0].events) {
    CHECK(e.attributes.at("pipeline.name") == "drill");
    CHECK(e.attributes.at("operation.key") == "caller.op");
  }
}

TEST_CASE("many threads may share a chaos strategy") {
  const chaos::fault fault{{.injection_rate = 0.5, .seed = 3}};
  std::atomic<int> struck{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        try {
          fault.execute([] {});
        } catch (const chaos::injected_fault&) {
          ++struck;
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK((struck > 1800 && struck < 2200));
}

TEST_CASE("a hedge starts further attempts as time goes by, and none after the first good answer") {
  hedge_schedule s{3, 10ms};
  CHECK(s.start_one(start));
  CHECK_FALSE(s.start_one(start + 9ms));
  CHECK(*s.next_start() == start + 10ms);
  CHECK(s.start_one(start + 10ms));
  CHECK(*s.next_start() == start + 20ms);
  CHECK(s.ended(1, true));
  CHECK(s.over());
  CHECK_FALSE(s.start_one(start + 1h));
  CHECK_FALSE(s.next_start().has_value());
  CHECK_FALSE(s.ended(0, true));
  CHECK((s.winner() == 1u && s.started() == 2 && s.running() == 0));
}

TEST_CASE("a hedge starts the next attempt at once when all that run have failed, or all together if told so") {
  hedge_schedule s{3, 10ms};
  CHECK(s.start_one(start));
  CHECK_FALSE(s.ended(0, false));
  CHECK(s.start_one(start + 1ms));
  CHECK(s.start_one(start + 11ms));
  CHECK_FALSE(s.ended(1, false));
  CHECK_FALSE(s.over());
  CHECK_FALSE(s.ended(2, false));
  CHECK((s.over() && !s.winner()));
  hedge_schedule together{3, 0ns};
  CHECK((together.start_one(start) && together.start_one(start) && together.start_one(start)));
  CHECK_FALSE(together.start_one(start));
  hedge_schedule one_by_one{2, -1ms};
  CHECK(one_by_one.start_one(start));
  CHECK_FALSE(one_by_one.next_start().has_value());
  CHECK_FALSE(one_by_one.start_one(start + 24h));
  CHECK_FALSE(one_by_one.ended(0, false));
  CHECK(one_by_one.start_one(start));
}

TEST_CASE("whatever ends when, a hedge has one winner at most, the first good one, and starts no more than it may") {
  std::mt19937_64 random{42};
  for (int round = 0; round < 5000; ++round) {
    const std::size_t most = 1 + random() % 5;
    const nanoseconds delay{static_cast<std::int64_t>(random() % 4) - 1};
    hedge_schedule s{most, delay};
    time_point now = start, last = start;
    std::vector<std::size_t> running;
    std::size_t started = 0;
    std::map<std::size_t, bool> good;
    for (int step = 0; step < 60; ++step) {
      now += nanoseconds{static_cast<std::int64_t>(random() % 3)};
      const bool won = std::any_of(good.begin(), good.end(), [](const auto& g) { return g.second; });
      const bool due = running.empty() || (delay >= 0ns && now >= last + delay);
      const bool starts = !won && started < most && due;
      REQUIRE(s.start_one(now) == starts);
      if (starts) running.push_back(started++), last = now;
      if (!running.empty() && random() % 3 == 0) {
        const std::size_t at = random() % running.size(), n = running[at];
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
        const bool is_good = random() % 4 == 0;
        const bool wins = is_good && !std::any_of(good.begin(), good.end(), [](const auto& g) { return g.second; });
        REQUIRE(s.ended(n, is_good) == wins);
        good[n] = wins;
        if (wins) REQUIRE(s.winner() == n);
      }
      REQUIRE((s.started() == started && s.running() == running.size()));
      const bool has_winner = std::any_of(good.begin(), good.end(), [](const auto& g) { return g.second; });
      REQUIRE(s.over() == (has_winner || (started == most && running.empty())));
      REQUIRE(s.next_start().has_value() == (!has_winner && started < most && !running.empty() && delay >= 0ns));
    }
  }
}

TEST_CASE("a percentile is exact over the last durations, and unknown until there are enough") {
  std::mt19937_64 random{43};
  for (int round = 0; round < 300; ++round) {
    const double share = static_cast<double>(random() % 101) / 100;
    latency_percentile p{share};
    std::vector<nanoseconds> all;
    const std::size_t count = random() % 400;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back(nanoseconds{static_cast<std::int64_t>(random() % 1000)});
      p.add(all.back());
    }
    if (count < latency_percentile::enough) {
      REQUIRE_FALSE(p.value().has_value());
      continue;
    }
    const std::size_t kept = std::min(count, latency_percentile::window);
    std::vector<nanoseconds> last(all.end() - static_cast<std::ptrdiff_t>(kept), all.end());
    std::sort(last.begin(), last.end());
    const auto not_above = static_cast<double>(std::upper_bound(last.begin(), last.end(), *p.value()) - last.begin());
    const auto below = static_cast<double>(std::lower_bound(last.begin(), last.end(), *p.value()) - last.begin());
    REQUIRE(not_above >= share * static_cast<double>(kept));
    REQUIRE(below <= share * static_cast<double>(kept));
  }
}

TEST_CASE("a percentile that is asked again follows after eight new durations") {
  latency_percentile p{1.0};
  for (std::size_t i = 0; i < latency_percentile::enough; ++i) p.add(1ms);
  CHECK(p.value() == 1ms);
  for (std::size_t i = 1; i < latency_percentile::stale_after; ++i) p.add(9ms);
  CHECK(p.value() == 1ms);
  p.add(9ms);
  CHECK(p.value() == 9ms);
}

TEST_CASE("a hedge says which setting makes no sense, and what it does") {
  CHECK_THROWS_AS(otlpkit::hedge{{.max_hedged_attempts = 0}}, otlpkit::config_error);
  CHECK_THROWS_AS(otlpkit::hedge{{.max_hedged_attempts = 11}}, otlpkit::config_error);
  CHECK_THROWS_AS(otlpkit::hedge{{.percentile_delay = 1}}, otlpkit::config_error);
  CHECK(otlpkit::hedge{}.describe() == "hedge(1 more after 2 s)");
  CHECK(otlpkit::hedge{{.percentile_delay = 0.95}}.describe() == "hedge(1 more after 95 % of calls)");
  CHECK(otlpkit::hedge{{.percentile_delay = 0.95}}.delay() == 2s);
}

namespace {

const otlpkit::fallback last_known{{.name = "last_known_price"}, [] { return 9.99; }};

double price(const std::string& product) {
  return last_known.execute("price.load", [&]() -> double {
    if (product == "tea") return 3.5;
    throw std::runtime_error{"the price service is down"};
  });
}

const otlpkit::chaos::fault sometimes{{.name = "drill", .injection_rate = 0.5, .seed = 7}};

int orders_that_survive() {
  int good = 0;
  for (int i = 0; i < 100; ++i) {
    try {
      sometimes.execute("order.create", [&] { ++good; });
    } catch (const otlpkit::chaos::injected_fault&) {  // the code under test would deal with it
    }
  }
  return good;
}

}  // namespace

TEST_CASE("the page's example: a service that is down has a last known price") {
  CHECK(price("tea") == 3.5);
  CHECK(price("coffee") == 9.99);
}

TEST_CASE("the page's example: half of the orders survive a drill") {
  const int good = orders_that_survive();
  CHECK((good > 25 && good < 75));
}
