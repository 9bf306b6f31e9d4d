// SPDX-License-Identifier: MIT
// What decides without a clock, a lock or a call: back-off, retries and circuit breakers, against plain oracles.
#include <otlpkit/resilience/circuit_machine.hpp>
#include <otlpkit/resilience/retry_machine.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::resilience::backoff;
using otlpkit::resilience::backoff_sequence;
using otlpkit::resilience::circuit_breaker_options;
using otlpkit::resilience::circuit_counts;
using otlpkit::resilience::circuit_machine;
using otlpkit::resilience::circuit_state;
using otlpkit::resilience::circuit_verdict;
using otlpkit::resilience::circuit_window;
using otlpkit::resilience::jitter;
using otlpkit::resilience::outcome;
using otlpkit::resilience::retry_budget;
using otlpkit::resilience::retry_machine;
using otlpkit::resilience::retry_options;
using otlpkit::resilience::retry_stop;
using otlpkit::resilience::time_point;
using std::chrono::nanoseconds;

namespace {

struct asks_to_wait : otlpkit::rejected_error {
  explicit asks_to_wait(nanoseconds d) : rejected_error{otlpkit::rejection::rate_limited, "far end", "slow down", d} {}
};

const outcome failure{std::make_exception_ptr(std::runtime_error{"busy"})};

std::vector<nanoseconds> delays(backoff_sequence s, int n, double random = 0.5) {
  std::vector<nanoseconds> out;
  for (int i = 0; i < n; ++i) out.push_back(s.next(random));
  return out;
}
using list = std::vector<nanoseconds>;

/// What a circuit breaker is, said as slowly and plainly as possible: it keeps every call.
struct oracle {
  const circuit_breaker_options& o;
  time_point origin;
  circuit_state state = circuit_state::closed;
  struct call {
    std::int64_t step;
    bool failed, slow;
  };
  std::deque<call> calls{};
  int in_a_row = 0, trials = 0, successes = 0, epoch = 0;
  time_point until{}, trials_until{};

  void go(circuit_state to) {
    state = to, trials = 0, successes = 0, ++epoch;
    if (to != circuit_state::open && to != circuit_state::half_open) calls.clear(), in_a_row = 0;
  }
  bool enter(time_point now) {
    if (state == circuit_state::open && now >= until) go(circuit_state::half_open);
    if (state == circuit_state::open || state == circuit_state::isolated) return false;
    if (state != circuit_state::half_open) return true;
    if (trials == o.half_open_permits && now >= trials_until) trials = 0, ++epoch;  // they hang
    if (trials == o.half_open_permits) return false;
    trials_until = now + o.break_duration;
    return ++trials, true;
  }
  circuit_counts counts(time_point now) const {
    const std::int64_t step = (now - origin) / (o.sampling_duration / 10);
    circuit_counts c;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const bool recent =
          o.window_size > 0 ? i + static_cast<std::size_t>(o.window_size) >= calls.size() : calls[i].step > step - 10;
      if (recent) c.calls++, c.failures += calls[i].failed, c.slow += calls[i].slow;
    }
    return c;
  }
  void open(time_point now) {
    go(circuit_state::open);
    until = now + o.break_duration;
  }
  void leave(int ticket, circuit_verdict v, nanoseconds took, time_point now) {
    if (ticket != epoch) return;
    const bool failed = v == circuit_verdict::failure, slow = o.slow_call_duration && took > *o.slow_call_duration;
    if (state == circuit_state::half_open) {
      --trials;
      if (v == circuit_verdict::none) return;
      if (failed || slow) return open(now);
      if (++successes == o.success_threshold) go(circuit_state::closed);
      return;
    }
    if (v == circuit_verdict::none || state == circuit_state::disabled) return;
    calls.push_back({(now - origin) / (o.sampling_duration / 10), failed, slow});
    in_a_row = failed ? in_a_row + 1 : 0;
    if (state == circuit_state::metrics_only) return;
    const circuit_counts c = counts(now);
    const bool enough = c.calls >= o.minimum_throughput;
    const double n = static_cast<double>(c.calls);
    const bool bad = o.consecutive_failures > 0 ? in_a_row >= o.consecutive_failures
                                                : enough && static_cast<double>(c.failures) / n >= o.failure_ratio;
    const bool sluggish = o.slow_call_duration && enough && static_cast<double>(c.slow) / n >= o.slow_call_ratio;
    if (bad || sluggish) open(now);
  }
};

}  // namespace

TEST_CASE("delays stay, grow by the first one, or double, and none is longer than the maximum") {
  CHECK(delays({backoff::constant, jitter::none, 100ms, {}}, 3) == list{100ms, 100ms, 100ms});
  CHECK(delays({backoff::linear, jitter::none, 100ms, {}}, 4) == list{100ms, 200ms, 300ms, 400ms});
  CHECK(delays({backoff::exponential, jitter::none, 200ms, {}}, 4) == list{200ms, 400ms, 800ms, 1600ms});
  CHECK(delays({backoff::exponential, jitter::none, 200ms, 500ms}, 4) == list{200ms, 400ms, 500ms, 500ms});
  CHECK(delays({backoff::linear, jitter::none, 0ms, {}}, 2) == list{0ms, 0ms});
}

TEST_CASE("delays that have doubled a thousand times are the longest there are and no overflow") {
  backoff_sequence s{backoff::exponential, jitter::none, 1h, {}};
  for (int i = 0; i < 1000; ++i) CHECK(s.next(0.99).count() > 0);
  backoff_sequence chance{backoff::exponential, jitter::decorrelated, 1h, {}};
  for (int i = 0; i < 1000; ++i) CHECK(chance.next(0.999).count() > 0);
}

TEST_CASE("jitter is on for exponential back-off alone, and moves a delay within its bounds") {
  CHECK(delays({backoff::constant, jitter::automatic, 1s, {}}, 2, 0.9) == list{1s, 1s});
  CHECK(delays({backoff::linear, jitter::automatic, 1s, {}}, 2, 0.9) == list{1s, 2s});
  CHECK(delays({backoff::constant, jitter::proportional, 1s, {}}, 1, 0.0) == list{750ms});
  CHECK(delays({backoff::constant, jitter::proportional, 1s, {}}, 1, 0.5) == list{1s});
  CHECK(delays({backoff::exponential, jitter::automatic, 1s, {}}, 3, 0.0) == list{1s, 1s, 1s});
  CHECK(delays({backoff::exponential, jitter::automatic, 1s, {}}, 3, 0.5) == list{2s, 3500ms, 5750ms});

  std::mt19937_64 random{1};
  std::uniform_real_distribution<double> share{0, 1};
  for (int round = 0; round < 2000; ++round) {
    const std::optional<nanoseconds> max = round % 2 ? std::optional<nanoseconds>{5s} : std::nullopt;
    backoff_sequence s{backoff::exponential, jitter::decorrelated, 100ms, max};
    nanoseconds before = 100ms;
    for (int i = 0; i < 8; ++i) {
      const nanoseconds d = s.next(share(random));
      CHECK(d >= 100ms);
      CHECK(d <= 3 * before);
      if (max) CHECK(d <= *max);
      before = d;
    }
  }
}

TEST_CASE("a machine follows a simple oracle through thousands of random calls") {
  std::mt19937_64 random{7};
  for (int round = 0; round < 5000; ++round) {
    retry_options options;
    options.max_retry_attempts = static_cast<int>(random() % 6);
    options.growth = static_cast<backoff>(random() % 3);
    options.chance = jitter::none;
    options.delay = std::chrono::milliseconds{random() % 1000};
    if (random() % 2) options.max_delay = std::chrono::milliseconds{random() % 3000};
    double tokens = 1 + static_cast<double>(random() % 10);
    const double most = tokens;
    const bool budgeted = random() % 3 == 0;
    if (budgeted) options.budget = retry_budget{{.max_tokens = tokens, .token_ratio = 0.5}};

    for (int call = 0; call < 4; ++call) {  // a budget outlives a call
      retry_machine machine{options};
      nanoseconds expected = options.delay;
      std::optional<nanoseconds> left;
      if (random() % 2) left = std::chrono::milliseconds{random() % 4000};
      for (int attempt = 1;; ++attempt) {
        REQUIRE(machine.attempt() == attempt);
        std::optional<nanoseconds> asked;
        if (random() % 4 == 0) asked = std::chrono::milliseconds{random() % 4000};
        if (asked && options.max_delay && random() % 4 == 0) asked = *options.max_delay;
        const bool fails = random() % 3 != 0;
        const outcome result = !fails  ? outcome{}
                               : asked ? outcome{std::make_exception_ptr(asks_to_wait{*asked})}
                                       : failure;
        const auto got = machine.ended(result, left);
        if (!fails) {
          if (budgeted) tokens = std::min(most, tokens + 0.5);
          REQUIRE(got.stop == retry_stop::succeeded);
          break;
        }
        REQUIRE(got.handled);
        if (budgeted) tokens = std::max(0.0, tokens - 1);
        nanoseconds delay = expected;
        if (options.max_delay) delay = std::min(delay, *options.max_delay);
        const bool too_long = asked && *asked > delay && options.max_delay && *asked > *options.max_delay;
        if (asked && !too_long) delay = std::max(delay, *asked);
        const retry_stop stop = attempt > options.max_retry_attempts ? retry_stop::max_attempts
                                : budgeted && tokens <= most / 2     ? retry_stop::budget
                                : too_long                           ? retry_stop::retry_after
                                : left && delay >= *left             ? retry_stop::deadline
                                                                     : retry_stop::none;
        REQUIRE(to_string(got.stop) == to_string(stop));
        REQUIRE(machine.attempt() == (stop == retry_stop::none ? attempt + 1 : attempt));
        if (stop != retry_stop::none) break;
        REQUIRE(got.delay == delay);
        REQUIRE(machine.waited() == delay);
        if (options.growth == backoff::linear) expected += options.delay;
        if (options.growth == backoff::exponential) expected *= 2;
      }
    }
  }
}

TEST_CASE("a budget counts in thousandths, never below nothing, and is never so small that it could not change") {
  const retry_budget slow{{.max_tokens = 2, .token_ratio = 1e-6}};
  for (int i = 0; i < 3; ++i) slow.failed();
  slow.succeeded();
  CHECK(slow.tokens() == 0.001);
  const retry_budget small{{.max_tokens = 1e-6}};
  CHECK(small.allows());
  small.failed();
  CHECK_FALSE(small.allows());
}

TEST_CASE("chance is another one with each draw, and on each thread") {
  std::vector<double> drawn;
  const auto draw = [&drawn] {
    for (int i = 0; i < 4; ++i) drawn.push_back(otlpkit::resilience::detail::random_share());
  };
  for (int fresh = 0; fresh < 2; ++fresh) std::thread{draw}.join();
  for (const double share : drawn) CHECK((share >= 0 && share < 1));
  std::sort(drawn.begin(), drawn.end());
  CHECK(std::adjacent_find(drawn.begin(), drawn.end()) == drawn.end());
}

TEST_CASE("a clock reading older than the one before takes nothing from what is counted") {
  constexpr time_point begin{1h};
  circuit_window window = circuit_window::of_time(10s, begin);
  window.add(begin + 5s, true, false);
  window.add(begin, false, true);  // by a thread that read the clock earlier
  CHECK(window.counts(begin + 14s).calls == 2);
  CHECK(window.counts(begin + 15s).calls == 0);
}

TEST_CASE("the machine follows a simple oracle through thousands of random sequences") {
  std::mt19937_64 random{11};
  const auto below = [&](std::uint64_t n) { return static_cast<int>(random() % n); };
  int seen[6] = {};
  for (int round = 0; round < 4000; ++round) {
    circuit_breaker_options o;
    o.failure_ratio = (1 + below(10)) / 10.0;
    o.minimum_throughput = 1 + below(8);
    o.sampling_duration = std::chrono::milliseconds{10 + 10 * below(50)};
    if (below(2)) o.window_size = o.minimum_throughput + below(10);
    if (below(3) == 0) o.consecutive_failures = 1 + below(5);
    if (below(2)) o.slow_call_duration = 20ms, o.slow_call_ratio = (1 + below(10)) / 10.0;
    o.break_duration = std::chrono::milliseconds{1 + below(200)};
    o.half_open_permits = 1 + below(3);
    o.success_threshold = 1 + below(3);

    time_point now{1h};
    circuit_machine machine{o, now};
    oracle truth{o, now};
    std::vector<std::pair<std::uint64_t, int>> running;
    const int badness = below(101);
    for (int step = 0; step < 120; ++step) {
      now += std::chrono::microseconds{random() % 20'000};
      const int what = below(100);
      if (what < 48) {
        const auto a = machine.enter(now);
        REQUIRE(a.admitted == truth.enter(now));
        if (a.admitted) running.emplace_back(a.epoch, truth.epoch);
        if (truth.state == circuit_state::open) REQUIRE(*a.retry_after == truth.until - now);
      } else if (what < 98 && !running.empty()) {
        std::swap(running[random() % running.size()], running.back());
        const auto verdict = below(20) == 0         ? circuit_verdict::none
                             : below(100) < badness ? circuit_verdict::failure
                                                    : circuit_verdict::success;
        const auto took = std::chrono::milliseconds{below(40)};
        const circuit_state before = machine.state();
        const auto changed = machine.leave(running.back().first, verdict, took, now);
        truth.leave(running.back().second, verdict, took, now);
        if (changed) REQUIRE((changed->from == before && changed->to == truth.state));
        running.pop_back();
      } else if (what >= 98) {
        constexpr circuit_state by_hand[] = {circuit_state::closed, circuit_state::disabled, circuit_state::isolated,
                                             circuit_state::metrics_only};
        const circuit_state to = by_hand[below(4)];
        REQUIRE(machine.set(to).has_value() == (truth.state != to));
        if (truth.state != to || to == circuit_state::closed) truth.go(to);
      }
      REQUIRE(to_string(machine.state()) == to_string(truth.state));
      const circuit_counts got = machine.counts(now), expected = truth.counts(now);
      REQUIRE(got.calls == expected.calls);
      REQUIRE(got.failures == expected.failures);
      REQUIRE(got.slow == expected.slow);
      ++seen[static_cast<int>(truth.state)];
    }
  }
  for (const int n : seen) CHECK(n > 1000);  // the sequences go through every state
}
