// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/describe.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// How many retries may be on their way where many calls fail (gRPC proposal A6, retry throttling).
struct retry_budget_options {
  std::string name = "default";  ///< `otlpkit.retry.budget.name` of the gauge
  double max_tokens = 10;        ///< above zero, at most a million; every failed attempt takes one
  double token_ratio = 0.1;      ///< what every successful attempt gives back, above zero
};

/// Keeps retries from making an outage worse: while no more than half of the tokens are left, nobody retries. First
/// attempts are always made, and their successes bring the tokens back.
///
/// A handle: copies share the tokens, and every policy that calls the same back end should have the same budget.
/// Thread-safe without a lock.
class retry_budget {
 public:
  /// Throws config_error.
  explicit retry_budget(retry_budget_options options = {}) : state_{std::make_shared<state>(std::move(options))} {}

  /// An attempt failed in a way that would be retried.
  void failed() const noexcept { change(-scale); }
  void succeeded() const noexcept { change(state_->gain); }

  /// Whether a retry may be made now.
  [[nodiscard]] bool allows() const noexcept { return state_->tokens.load(platform::relaxed) > state_->most / 2; }
  [[nodiscard]] double tokens() const noexcept {
    return static_cast<double>(state_->tokens.load(platform::relaxed)) / static_cast<double>(scale);
  }

 private:
  static constexpr std::int64_t scale = 1000;  // A6 counts thousandths, too

  struct state {
    explicit state(retry_budget_options o)
        : name{std::move(o.name)}, most{thousandths(o.max_tokens, "retry_budget_options.max_tokens")},
          gain{thousandths(o.token_ratio, "retry_budget_options.token_ratio")}, tokens{most} {}

    /// One at least, or the budget could not change.
    [[nodiscard]] static std::int64_t thousandths(double n, const char* setting) {
      detail::check_setting(n > 0 && n <= 1e6, setting, n, "a number above zero, at most a million");
      const auto whole = static_cast<std::int64_t>(n * scale);
      return whole > 0 ? whole : 1;
    }

    std::string name;
    std::int64_t most, gain;
    platform::atomic<std::int64_t> tokens;
  };

  void change(std::int64_t by) const noexcept;

  std::shared_ptr<state> state_;
};

namespace detail {
inline constinit const gauge<double> budget_tokens{"otlpkit.retry.budget.tokens",
                                                   {.unit = "{token}", .description = "Tokens left in a retry budget"}};
}

inline void retry_budget::change(std::int64_t by) const noexcept {
  state& s = *state_;
  std::int64_t before = s.tokens.load(platform::relaxed), after = 0;
  do {
    after = before + by;
    after = after < 0 ? 0 : after > s.most ? s.most : after;
    if (after == before) return;
  } while (!s.tokens.compare_exchange(before, after, platform::relaxed));
  detail::budget_tokens.set(static_cast<double>(after) / static_cast<double>(scale),
                            {{"otlpkit.retry.budget.name", std::string_view{s.name}}});
}

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
