// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/resilience/backoff.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/event.hpp>
#include <otlpkit/resilience/retry_budget.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// A failed attempt that may be, or is about to be, followed by another.
struct retry_attempt {
  int number = 1;                ///< of the attempt that ended; the first call is 1
  const outcome& result;         ///< what it ended with
  nanoseconds delay{0};          ///< until the next attempt; for the delay generator: what the back-off would be
  std::string_view operation{};  ///< what is called
};

/// When and how often a call is repeated.
struct retry_options {
  std::string name = "retry";  ///< `strategy.name` of events and metrics
  int max_retry_attempts = 3;  ///< in addition to the first call, zero or more; 0: never retries
  backoff growth = backoff::constant;
  nanoseconds delay = std::chrono::seconds{2};  ///< before the first retry, zero or more
  std::optional<nanoseconds> max_delay{};       ///< no delay is longer, jitter included
  jitter chance = jitter::automatic;
  /// Which outcomes are retried; nothing: every failure, except calls that were cancelled and circuits opened by hand.
  outcome_predicate should_handle{};
  /// A delay of one's own, instead of the back-off's and of what the outcome asks for; nothing: these count.
  std::function<std::optional<nanoseconds>(const retry_attempt&)> delay_generator{};
  /// Told before each wait. What it throws ends the call.
  std::function<void(const retry_attempt&)> on_retry{};
  std::optional<retry_budget> budget{};  ///< shared with other policies for the same back end
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
  /// Chance, from 0, inclusive, to 1, exclusive; nullptr: random.
  double (*random)() = nullptr;
};

/// Why a call is not retried again.
enum class retry_stop : std::uint8_t { none, succeeded, not_handled, max_attempts, budget, deadline, retry_after };

[[nodiscard]] constexpr std::string_view to_string(retry_stop s) noexcept {
  constexpr std::string_view names[] = {"none",   "succeeded", "not_handled", "max_attempts",
                                        "budget", "deadline",  "retry_after"};
  return names[static_cast<std::size_t>(s)];
}

/// What is to be done after an attempt.
struct retry_decision {
  retry_stop stop = retry_stop::none;  ///< none: wait for `delay`, then call again
  nanoseconds delay{0};
  bool handled = false;  ///< the outcome is one that is retried, as long as there is a reason to

  [[nodiscard]] bool again() const noexcept { return stop == retry_stop::none; }
};

namespace detail {

[[nodiscard]] inline double random_share() noexcept {
  static thread_local std::uint64_t state = [] {
    std::uint64_t seed = 0;
    platform::fill_random(&seed, 1);
    return seed;
  }();
  state += 0x9E3779B97F4A7C15u;  // splitmix64 (Steele, Lea, Flood 2014)
  std::uint64_t z = state;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return static_cast<double>((z ^ z >> 31) >> 11) * 0x1p-53;
}

/// Throws config_error.
inline void check(const retry_options& o) {
  check_setting(o.max_retry_attempts >= 0, "retry_options.max_retry_attempts", o.max_retry_attempts, "zero or more");
  check_setting(o.delay.count() >= 0, "retry_options.delay", o.delay, "zero or more");
  check_setting(!o.max_delay || o.max_delay->count() >= 0, "retry_options.max_delay",
                o.max_delay.value_or(nanoseconds{0}), "zero or more, or nothing");
}

}  // namespace detail

/// The retries of one call, without waiting or calling: it is told how an attempt ended and says what comes next.
/// Refers to the options. For one call.
class retry_machine {
 public:
  explicit retry_machine(const retry_options& options, std::string_view operation = {}) noexcept
      : options_{options}, operation_{operation}, delays_{options.growth, options.chance, options.delay,
                                                          options.max_delay} {}

  /// The attempt to be made, or under way, or last made; the first is 1.
  [[nodiscard]] int attempt() const noexcept { return attempt_; }
  /// How long was waited before it.
  [[nodiscard]] nanoseconds waited() const noexcept { return waited_; }

  /// What comes after this attempt. Where it says again(), the next one counts as begun.
  /// \param time_left until the caller's deadline, if there is one
  [[nodiscard]] retry_decision ended(const outcome& result, std::optional<nanoseconds> time_left) {
    retry_decision d;
    d.handled =
        !result.cancelled() && (options_.should_handle ? options_.should_handle(result) : handled_by_default(result));
    if (!d.handled) {
      if (options_.budget && !result.failed()) options_.budget->succeeded();
      d.stop = result.failed() ? retry_stop::not_handled : retry_stop::succeeded;
      return d;
    }
    if (options_.budget) options_.budget->failed();
    if (attempt_ > options_.max_retry_attempts) {
      d.stop = retry_stop::max_attempts;
    } else if (options_.budget && !options_.budget->allows()) {
      d.stop = retry_stop::budget;
    } else {
      d.stop = choose_delay(result, d.delay);
      // A retry that could only begin when nobody waits for it any more is not made.
      if (d.again() && time_left && d.delay >= *time_left) d.stop = retry_stop::deadline;
    }
    if (d.again()) {
      ++attempt_;
      waited_ = d.delay;
    }
    return d;
  }

 private:
  [[nodiscard]] retry_stop choose_delay(const outcome& result, nanoseconds& delay) {
    delay = delays_.next(options_.random != nullptr ? options_.random() : detail::random_share());
    if (options_.delay_generator) {
      if (const auto own = options_.delay_generator({attempt_, result, delay, operation_})) {
        delay = own->count() > 0 ? *own : nanoseconds{0};
        return retry_stop::none;
      }
    }
    if (const auto asked = result.retry_after(); asked && *asked > delay) {
      if (options_.max_delay && *asked > *options_.max_delay) return retry_stop::retry_after;
      delay = *asked;
    }
    return retry_stop::none;
  }

  const retry_options& options_;
  std::string_view operation_;
  backoff_sequence delays_;
  int attempt_ = 1;
  nanoseconds waited_{0};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
