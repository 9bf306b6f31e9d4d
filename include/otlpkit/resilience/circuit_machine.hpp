// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/circuit_window.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/event.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// The states of a circuit breaker, in the order of resilience4j's numbers.
enum class circuit_state : std::uint8_t {
  closed,        ///< calls are made and counted
  open,          ///< calls are rejected until the break is over
  half_open,     ///< a few trial calls decide what comes next
  disabled,      ///< by hand: calls are made, nothing is counted
  isolated,      ///< by hand: calls are rejected
  metrics_only,  ///< by hand: calls are made and counted, and the circuit never opens
};
inline constexpr std::size_t circuit_states = 6;

[[nodiscard]] constexpr std::string_view to_string(circuit_state s) noexcept {
  constexpr std::string_view names[] = {"closed", "open", "half_open", "disabled", "isolated", "metrics_only"};
  return names[static_cast<std::size_t>(s)];
}

/// Why a circuit changed its state.
enum class circuit_reason : std::uint8_t {
  by_hand,
  failure_ratio,
  slow_call_ratio,
  consecutive_failures,
  break_over,
  trial_failed,
  trials_succeeded,
};

[[nodiscard]] constexpr std::string_view to_string(circuit_reason r) noexcept {
  constexpr std::string_view names[] = {"by_hand",    "failure_ratio", "slow_call_ratio", "consecutive_failures",
                                        "break_over", "trial_failed",  "trials_succeeded"};
  return names[static_cast<std::size_t>(r)];
}

/// A change of state, as call-backs see it.
struct circuit_transition {
  circuit_state from;
  circuit_state to;
  circuit_reason reason;
  nanoseconds break_duration{0};  ///< to `open` only
};

/// What a generator of break durations knows: which break in a row this is, the first being 1, and what the breaker had
/// counted.
struct circuit_break {
  int number = 1;
  circuit_counts counts{};
};

/// When a circuit opens, for how long, and what closes it.
struct circuit_breaker_options {
  std::string name = "circuit_breaker";  ///< `otlpkit.circuit.name`; of the back end that is called
  double failure_ratio = 0.1;            ///< opens when at least this share of calls failed; above 0, at most 1
  int minimum_throughput = 100;          ///< ... of at least so many calls, 1 or more
  nanoseconds sampling_duration = std::chrono::seconds{30};  ///< ... within this time, above zero
  int window_size = 0;           ///< above zero: of the last so many calls instead; at least minimum_throughput
  int consecutive_failures = 0;  ///< above zero: opens after so many failures in a row, and not by failure_ratio
  std::optional<nanoseconds> slow_call_duration{};       ///< a call that takes longer is slow; nothing: none is
  double slow_call_ratio = 1;                            ///< opens when at least this share was slow; above 0
  nanoseconds break_duration = std::chrono::seconds{5};  ///< how long it stays open, above zero
  std::function<nanoseconds(const circuit_break&)> break_duration_generator{};  ///< instead; must not use the breaker
  int half_open_permits = 1;  ///< trial calls at the same time, 1 or more
  int success_threshold = 1;  ///< trial calls that must succeed to close it, 1 or more; one failure opens it again
  /// Which outcomes are failures; nothing: every failure except cancelled calls and those that strategies further in
  /// rejected (timeouts are failures).
  outcome_predicate should_handle{};
  /// Told of every change of state, with no lock held. What it throws goes to the diagnostics.
  std::function<void(const circuit_transition&)> on_transition{};
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
};

namespace detail {

/// Throws config_error.
inline void check(const circuit_breaker_options& o) {
#define OTLPKIT_CHECK_(ok, setting, expected) \
  check_setting(ok, "circuit_breaker_options." #setting, o.setting, expected)
  OTLPKIT_CHECK_(o.failure_ratio > 0 && o.failure_ratio <= 1, failure_ratio, "above 0, at most 1");
  OTLPKIT_CHECK_(o.minimum_throughput >= 1, minimum_throughput, "1 or more");
  OTLPKIT_CHECK_(o.sampling_duration.count() > 0, sampling_duration, "above zero");
  OTLPKIT_CHECK_(o.window_size == 0 || (o.window_size >= 1 && o.window_size <= 1'000'000), window_size,
                 "0 (time counts), or up to a million calls");
  OTLPKIT_CHECK_(o.window_size == 0 || o.window_size >= o.minimum_throughput, window_size,
                 "at least minimum_throughput, or the circuit could never open");
  OTLPKIT_CHECK_(o.consecutive_failures >= 0, consecutive_failures, "zero or more");
  OTLPKIT_CHECK_(o.slow_call_ratio > 0 && o.slow_call_ratio <= 1, slow_call_ratio, "above 0, at most 1");
  OTLPKIT_CHECK_(o.break_duration.count() > 0, break_duration, "above zero");
  OTLPKIT_CHECK_(o.half_open_permits >= 1, half_open_permits, "1 or more");
  OTLPKIT_CHECK_(o.success_threshold >= 1, success_threshold, "1 or more");
#undef OTLPKIT_CHECK_
}

}  // namespace detail

/// What a call says of the far end.
enum class circuit_verdict : std::uint8_t { success, failure, none };

/// A circuit breaker's decisions without clock, lock or call: it is told that a call wants to be made, and how it
/// ended. Refers to the options. Not thread-safe: circuit_breaker adds the lock.
class circuit_machine {
 public:
  /// Whether a call may be made, and what that changed.
  struct admission {
    bool admitted = false;
    std::uint64_t epoch = 0;                   ///< to be given back with the end of the call
    std::optional<nanoseconds> retry_after{};  ///< of a rejected call, where it is known
    std::optional<circuit_transition> changed{};
  };

  circuit_machine(const circuit_breaker_options& options, time_point now)
      : options_{options}, window_{options.window_size > 0
                                       ? circuit_window::of_calls(static_cast<std::size_t>(options.window_size))
                                       : circuit_window::of_time(options.sampling_duration, now)} {}

  [[nodiscard]] circuit_state state() const noexcept { return state_; }
  [[nodiscard]] circuit_counts counts(time_point now) noexcept { return window_.counts(now); }

  [[nodiscard]] admission enter(time_point now) noexcept {
    admission a;
    if (state_ == circuit_state::open && now >= open_until_) {
      a.changed = go(circuit_state::half_open, circuit_reason::break_over);
    }
    switch (state_) {
      case circuit_state::isolated: break;
      case circuit_state::open: a.retry_after = open_until_ - now; break;
      case circuit_state::half_open: a.admitted = permit_trial(now); break;
      default: a.admitted = true;
    }
    a.epoch = epoch_;
    return a;
  }

  /// A call that was admitted has ended. What it says of a state that is over does not count.
  [[nodiscard]] std::optional<circuit_transition> leave(std::uint64_t epoch, circuit_verdict verdict, nanoseconds took,
                                                        time_point now) {
    if (epoch != epoch_) return std::nullopt;
    const bool failed = verdict == circuit_verdict::failure;
    const bool slow = options_.slow_call_duration && took > *options_.slow_call_duration;
    if (state_ == circuit_state::half_open) {
      --trials_;
      if (verdict == circuit_verdict::none) return std::nullopt;
      if (failed || slow) return open(circuit_reason::trial_failed, now);
      if (++successes_ < options_.success_threshold) return std::nullopt;
      return go(circuit_state::closed, circuit_reason::trials_succeeded);
    }
    if (verdict == circuit_verdict::none || state_ == circuit_state::disabled) return std::nullopt;
    window_.add(now, failed, slow);
    failures_in_a_row_ = failed ? failures_in_a_row_ + 1 : 0;
    if (state_ != circuit_state::closed) return std::nullopt;
    return judge(now);
  }

  /// By hand: to closed, disabled, isolated or metrics_only. Nothing if it is in that state; one that is closed already
  /// forgets what it counted all the same.
  [[nodiscard]] std::optional<circuit_transition> set(circuit_state to) noexcept {
    const bool there = state_ == to;
    if (there && to != circuit_state::closed) return std::nullopt;
    const circuit_transition t = go(to, circuit_reason::by_hand);
    return there ? std::nullopt : std::optional{t};
  }

 private:
  /// A trial that has not ended after another break duration loses its place, or one call that hangs would keep the
  /// circuit from ever closing.
  [[nodiscard]] bool permit_trial(time_point now) noexcept {
    if (trials_ >= options_.half_open_permits && now >= trials_until_) {
      trials_ = 0;
      ++epoch_;
    }
    if (trials_ >= options_.half_open_permits) return false;
    ++trials_;
    trials_until_ = now + break_lasts_;
    return true;
  }

  [[nodiscard]] std::optional<circuit_transition> judge(time_point now) {
    const circuit_counts counts = window_.counts(now);
    if (options_.consecutive_failures > 0) {
      if (failures_in_a_row_ >= options_.consecutive_failures) return open(circuit_reason::consecutive_failures, now);
    } else if (counts.calls >= options_.minimum_throughput && counts.failure_ratio() >= options_.failure_ratio) {
      return open(circuit_reason::failure_ratio, now);
    }
    if (options_.slow_call_duration && counts.calls >= options_.minimum_throughput &&
        counts.slow_ratio() >= options_.slow_call_ratio) {
      return open(circuit_reason::slow_call_ratio, now);
    }
    return std::nullopt;
  }

  circuit_transition open(circuit_reason why, time_point now) {
    ++breaks_;
    nanoseconds lasts = options_.break_duration;
    if (options_.break_duration_generator) {
      try {
        lasts = options_.break_duration_generator({breaks_, window_.counts(now)});
      } catch (...) {  // the circuit must open all the same
      }
    }
    constexpr nanoseconds longest = std::chrono::hours{24 * 365};  // added to `now`, it must fit
    if (lasts > longest) lasts = longest;
    circuit_transition t = go(circuit_state::open, why);
    t.break_duration = lasts;
    break_lasts_ = lasts;
    open_until_ = now + lasts;
    return t;
  }

  circuit_transition go(circuit_state to, circuit_reason why) noexcept {
    const circuit_transition t{state_, to, why};
    if (to != circuit_state::open && to != circuit_state::half_open) {
      window_.clear();
      failures_in_a_row_ = 0;
      breaks_ = 0;
    }
    state_ = to;
    trials_ = 0;
    successes_ = 0;
    ++epoch_;
    return t;
  }

  const circuit_breaker_options& options_;
  circuit_window window_;
  circuit_state state_ = circuit_state::closed;
  std::uint64_t epoch_ = 0;  ///< each change begins a new one: what began in an old one does not count
  time_point open_until_{};
  time_point trials_until_{};  ///< when those under way lose their places
  nanoseconds break_lasts_{0};
  std::int64_t failures_in_a_row_ = 0;
  int breaks_ = 0;     ///< since it was closed
  int trials_ = 0;     ///< calls under way while half open
  int successes_ = 0;  ///< of trials
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
