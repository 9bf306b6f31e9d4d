// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI {

/// Why a decorator did not make a call, or did not wait for its end.
enum class rejection {
  broken_circuit = 1,  ///< a circuit breaker is open
  isolated_circuit,    ///< a circuit breaker was opened by hand
  rate_limited,        ///< a rate limiter had no permit
  bulkhead_full,       ///< too many calls at once, and no place in the queue
  timed_out,           ///< the call took longer than it may
};

namespace detail {

[[nodiscard]] constexpr std::string_view text_of(rejection why) noexcept {
  switch (why) {
    case rejection::broken_circuit: return "broken_circuit";
    case rejection::isolated_circuit: return "isolated_circuit";
    case rejection::rate_limited: return "rate_limited";
    case rejection::bulkhead_full: return "bulkhead_full";
    case rejection::timed_out: return "timed_out";
  }
  return "unknown";
}

class rejection_category_type final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "otlpkit.rejection"; }
  [[nodiscard]] std::string message(int code) const override {
    switch (static_cast<rejection>(code)) {
      case rejection::broken_circuit: return "the circuit is open";
      case rejection::isolated_circuit: return "the circuit was opened by hand";
      case rejection::rate_limited: return "the rate limit is reached";
      case rejection::bulkhead_full: return "too many calls at once";
      case rejection::timed_out: return "the call took too long";
    }
    return "unknown rejection";
  }
};

}  // namespace detail

/// The category of std::error_code that rejections have.
[[nodiscard]] inline const std::error_category& rejection_category() noexcept {
  static const detail::rejection_category_type category;
  return category;
}

[[nodiscard]] inline std::error_code make_error_code(rejection why) noexcept {
  return {static_cast<int>(why), rejection_category()};
}

/// What decorators throw when they do not make a call, or do not wait for its end: one family, to be caught as one.
/// what() reads `strategy: what happened`.
class rejected_error : public std::runtime_error {
 public:
  /// \param strategy the decorator's name
  /// \param what     what happened, in words
  /// \param retry_after how long until a call may succeed, if that is known
  rejected_error(rejection why, std::string_view strategy, std::string_view what,
                 std::optional<std::chrono::nanoseconds> retry_after = std::nullopt)
      : std::runtime_error{std::string{strategy}.append(": ").append(what)}, why_{why}, strategy_size_{strategy.size()},
        retry_after_{retry_after} {}

  [[nodiscard]] rejection reason() const noexcept { return why_; }
  /// The reason as text, as it is in error.type: `broken_circuit`.
  [[nodiscard]] std::string_view reason_text() const noexcept { return detail::text_of(why_); }
  [[nodiscard]] std::error_code code() const noexcept { return make_error_code(why_); }
  /// The name of the decorator that rejected; valid as long as the exception.
  [[nodiscard]] std::string_view strategy() const noexcept { return {what(), strategy_size_}; }
  /// How long until a call may succeed; nothing when that is not known.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> retry_after() const noexcept { return retry_after_; }

 private:
  rejection why_;
  std::size_t strategy_size_;
  std::optional<std::chrono::nanoseconds> retry_after_;
};

/// A circuit breaker is open; retry_after() says for how long at least.
class broken_circuit_error : public rejected_error {
 public:
  explicit broken_circuit_error(std::string_view strategy,
                                std::optional<std::chrono::nanoseconds> retry_after = std::nullopt)
      : rejected_error{rejection::broken_circuit, strategy, "the circuit is open", retry_after} {}
};

/// A circuit breaker was opened by hand, and stays so until somebody closes it.
class isolated_circuit_error : public rejected_error {
 public:
  explicit isolated_circuit_error(std::string_view strategy)
      : rejected_error{rejection::isolated_circuit, strategy, "the circuit was opened by hand"} {}
};

/// A rate limiter had no permit; retry_after() says when it will have one.
class rate_limited_error : public rejected_error {
 public:
  explicit rate_limited_error(std::string_view strategy,
                              std::optional<std::chrono::nanoseconds> retry_after = std::nullopt)
      : rejected_error{rejection::rate_limited, strategy, "the rate limit is reached", retry_after} {}
};

/// Too many calls at once, and no place in the queue or not in time.
class bulkhead_full_error : public rejected_error {
 public:
  explicit bulkhead_full_error(std::string_view strategy)
      : rejected_error{rejection::bulkhead_full, strategy, "too many calls at once"} {}
};

/// The call took longer than it may.
class timed_out_error : public rejected_error {
 public:
  explicit timed_out_error(std::string_view strategy)
      : rejected_error{rejection::timed_out, strategy, "the call took too long"} {}
};

}  // namespace otlpkit::inline OTLPKIT_ABI

template <>
struct std::is_error_code_enum<otlpkit::rejection> : std::true_type {};
