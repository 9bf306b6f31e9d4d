// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/time_source.hpp>

#include <cstddef>
#include <optional>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// When the attempts of one hedged call start, and when it is over: a further attempt whenever `delay` has passed
/// without a good answer, and at once when all that run have failed. The first good answer wins.
///
/// Pure state, fed with `now`. Attempts are numbered from 0 in the order of their start; attempt 0 is the call itself.
class hedge_schedule {
 public:
  /// \param most  attempts in all
  /// \param delay between starts; zero: all at once; negative: further ones only after failures
  constexpr hedge_schedule(std::size_t most, nanoseconds delay) noexcept : most_{most == 0 ? 1 : most}, delay_{delay} {}

  /// Whether an attempt is to start at `now`. If so it has: ask again for the next one.
  [[nodiscard]] constexpr bool start_one(time_point now) noexcept {
    if (over() || started_ == most_) return false;
    if (running_ > 0 && (delay_ < nanoseconds{0} || now < time_after(last_start_, delay_))) return false;
    last_start_ = now;
    ++started_;
    ++running_;
    return true;
  }

  /// When start_one() would start the next attempt if nothing ends until then; nothing: never.
  [[nodiscard]] constexpr std::optional<time_point> next_start() const noexcept {
    if (over() || started_ == most_ || running_ == 0 || delay_ < nanoseconds{0}) return std::nullopt;
    return time_after(last_start_, delay_);
  }

  /// An attempt ended. The first good one wins; what ends after that was for nothing.
  /// \return whether this attempt won
  [[nodiscard]] constexpr bool ended(std::size_t attempt, bool good) noexcept {
    --running_;
    if (!good || won_) return false;
    won_ = true;
    winner_ = attempt;
    return true;
  }

  [[nodiscard]] constexpr std::optional<std::size_t> winner() const noexcept {
    return won_ ? std::optional{winner_} : std::nullopt;
  }
  [[nodiscard]] constexpr std::size_t started() const noexcept { return started_; }
  [[nodiscard]] constexpr std::size_t running() const noexcept { return running_; }
  /// Nothing more starts: one won, or all failed.
  [[nodiscard]] constexpr bool over() const noexcept { return won_ || (started_ == most_ && running_ == 0); }

 private:
  std::size_t most_;
  nanoseconds delay_;
  std::size_t started_ = 0;
  std::size_t running_ = 0;
  time_point last_start_{};
  std::size_t winner_ = 0;
  bool won_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
