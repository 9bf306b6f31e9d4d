// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// How long an exporter waits between attempts. The defaults are those of the other C++ SDK.
struct retry_options {
  std::chrono::nanoseconds initial_backoff = std::chrono::seconds{1};  ///< upper bound of the first wait, above zero
  std::chrono::nanoseconds max_backoff = std::chrono::seconds{5};      ///< no back-off grows beyond it
  double multiplier = 1.5;                                             ///< growth from one wait to the next, at least 1
  double jitter = 0.5;  ///< share of each wait that is random, 0 to 1: clients that failed together come back apart
};

/// Decides what follows a failed attempt of one export: another one, and when, or none.
///
/// Pure state: it owns no clock, no timer and no source of randomness, so its tests need none.
class retry_schedule {
 public:
  using clock = std::chrono::steady_clock;

  enum class decision : std::uint8_t {
    retry,                 ///< wait `delay`, then try again
    out_of_time,           ///< the next attempt would start after the deadline
    retry_after_too_long,  ///< the server asked for more time than the deadline leaves
  };
  struct step {
    decision what = decision::retry;
    std::chrono::nanoseconds delay{};  ///< the wait; when giving up, the wait that did not fit
    bool asked = false;                ///< the wait is the server's wish (Retry-After), not the client's back-off
  };

  /// \param deadline when the whole export must have ended; time_point::max() for none.
  explicit retry_schedule(retry_options options, clock::time_point deadline = clock::time_point::max()) noexcept
      : options_{options}, deadline_{deadline}, backoff_{std::min(options.initial_backoff, options.max_backoff)} {}

  /// Moves the deadline forward in time, never back: shutdown leaves less time than the export timeout did.
  void tighten(clock::time_point deadline) noexcept { deadline_ = std::min(deadline_, deadline); }
  [[nodiscard]] clock::time_point deadline() const noexcept { return deadline_; }
  [[nodiscard]] std::uint32_t retries() const noexcept { return retries_; }

  /// An attempt failed at `now` in a way that may be retried.
  /// \param random in [0, 1): decides the jitter.
  /// \param retry_after what the server asked for; zero or less means at once.
  [[nodiscard]] step failed(clock::time_point now, double random,
                            std::optional<std::chrono::nanoseconds> retry_after = std::nullopt) noexcept {
    step next{decision::retry, jittered(backoff_, random), false};
    if (retry_after) {
      next.asked = true;
      next.delay = std::max(*retry_after, std::chrono::nanoseconds::zero());
      // "At once" is believed once: a server that keeps saying so would be hammered until the deadline.
      if (retries_ > 0) next.delay = std::max(next.delay, jittered(first_backoff(), random));
    }
    if (now >= deadline_ || next.delay >= deadline_ - now) {
      next.what = next.asked ? decision::retry_after_too_long : decision::out_of_time;
      return next;
    }
    ++retries_;
    const auto grown = std::chrono::duration<double, std::nano>(backoff_) * options_.multiplier;
    backoff_ = grown < options_.max_backoff ? std::chrono::duration_cast<std::chrono::nanoseconds>(grown)
                                            : options_.max_backoff;
    return next;
  }

 private:
  [[nodiscard]] std::chrono::nanoseconds first_backoff() const noexcept {
    return std::min(options_.initial_backoff, options_.max_backoff);
  }
  [[nodiscard]] std::chrono::nanoseconds jittered(std::chrono::nanoseconds wait, double random) const noexcept {
    const double share = 1.0 - std::clamp(options_.jitter, 0.0, 1.0) * std::clamp(random, 0.0, 1.0);
    return std::chrono::nanoseconds{static_cast<std::int64_t>(static_cast<double>(wait.count()) * share)};
  }

  retry_options options_;
  clock::time_point deadline_;
  std::chrono::nanoseconds backoff_;
  std::uint32_t retries_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
