// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// How delays grow from one retry to the next.
enum class backoff : std::uint8_t {
  constant,     ///< delay, delay, delay
  linear,       ///< delay, 2 delay, 3 delay
  exponential,  ///< delay, 2 delay, 4 delay
};

/// What chance does to a delay, so that callers which failed together do not come back together.
enum class jitter : std::uint8_t {
  automatic,     ///< decorrelated for exponential back-off, none for the others
  none,          ///< nothing
  proportional,  ///< up to a quarter more or less
  decorrelated,  ///< anything between the first delay and three times the one before (AWS Architecture Blog,
                 ///< "Exponential Backoff And Jitter", 2015); how the back-off grows does not matter then
};

/// The delays between attempts of one call. Pure: chance comes in as a number. For one call at a time.
class backoff_sequence {
 public:
  using nanoseconds = std::chrono::nanoseconds;

  constexpr backoff_sequence(backoff growth, jitter chance, nanoseconds delay, std::optional<nanoseconds> max) noexcept
      : growth_{growth}, chance_{chance}, base_{static_cast<double>(delay.count())},
        max_{max ? static_cast<double>(max->count()) : longest}, previous_{base_} {
    if (chance_ == jitter::automatic) {
      chance_ = growth_ == backoff::exponential ? jitter::decorrelated : jitter::none;
    }
  }

  /// The delay before the next retry, at most the maximum.
  /// \param random from 0, inclusive, to 1, exclusive
  [[nodiscard]] constexpr nanoseconds next(double random) noexcept {
    double d = base_;
    if (chance_ == jitter::decorrelated) {
      d = base_ + random * (previous_ * 3 - base_);
    } else {
      ++retry_;
      if (growth_ == backoff::linear) d = base_ * static_cast<double>(retry_);
      if (growth_ == backoff::exponential) {
        d = doubled_;
        doubled_ = doubled_ < longest ? doubled_ * 2 : longest;
      }
      if (chance_ == jitter::proportional) d *= 0.75 + random * 0.5;
    }
    if (!(d < max_)) d = max_;
    previous_ = d;
    return nanoseconds{static_cast<std::int64_t>(d)};
  }

 private:
  static constexpr double longest = 9e18;  // nanoseconds in 63 bits: 285 years

  backoff growth_;
  jitter chance_;
  double base_;
  double max_;
  double previous_;
  double doubled_ = base_;
  std::uint64_t retry_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
