// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/rejected_error.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

namespace detail {

/// Says itself after how long a repetition makes sense.
template <class T>
concept hints_retry_after = requires(const T& t) {
  { t.retry_after() } -> std::convertible_to<std::optional<std::chrono::nanoseconds>>;
};

template <class T>
concept code_like = requires(const T& e) {
  static_cast<bool>(e);
  e.value();
  e.category().name();
  e.message();
};

/// Whether a result says that the call failed: an expected without a value, an error code that is set.
template <class T>
[[nodiscard]] bool result_failed(const T& result) {
  if constexpr (otlpkit::detail::expected_like<T>) {
    return !result.has_value();
  } else if constexpr (code_like<T>) {
    return static_cast<bool>(result);
  } else {
    return false;
  }
}

}  // namespace detail

/// What a call ended with, as predicates and call-backs see it: an exception, a result, or nothing (void). Refers to
/// the result, and so is valid during the call-back only.
class outcome {
 public:
  /// Of a call that returned nothing.
  outcome() noexcept = default;
  /// Of one that ended with an exception. `cancelled`: because the caller does not want it any more.
  explicit outcome(std::exception_ptr e, bool cancelled = false) noexcept
      : exception_{std::move(e)}, failed_{true}, cancelled_{cancelled} {}
  /// Of one that returned `result`.
  template <class T>
  [[nodiscard]] static outcome of(const T& result) {
    outcome o;
    o.type_ = &typeid(T);
    o.result_ = static_cast<const void*>(&result);
    o.failed_ = detail::result_failed(result);
    if (o.failed_) {
      if constexpr (detail::hints_retry_after<T>) {
        o.retry_after_ = result.retry_after();
      } else if constexpr (requires { requires detail::hints_retry_after<std::decay_t<decltype(result.error())>>; }) {
        o.retry_after_ = result.error().retry_after();
      }
    }
    return o;
  }

  /// An exception, or a result that says it is an error: an expected without a value, an error code that is set.
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// The call was given up by the caller. No strategy counts or repeats such a call.
  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
  /// The exception it ended with, or nullptr.
  [[nodiscard]] const std::exception_ptr& exception() const noexcept { return exception_; }

  /// The result if it is a `T`, or nullptr.
  template <class T>
  [[nodiscard]] const T* result() const noexcept {
    return type_ != nullptr && *type_ == typeid(T) ? static_cast<const T*>(result_) : nullptr;
  }

  /// Calls `fn(e)` if the exception is an `E` (or derived from it), and says whether it was.
  template <class E, class F>
  bool with_exception(F&& fn) const {
    if (exception_ == nullptr) return false;
    try {
      std::rethrow_exception(exception_);
    } catch (const E& e) {
      std::forward<F>(fn)(e);
      return true;
    } catch (...) {
      return false;
    }
  }

  /// Whether the exception is an `E`, or derived from it.
  template <class E>
  [[nodiscard]] bool threw() const {
    return with_exception<E>([](const E&) {});
  }

  /// After how long a repetition makes sense, as a rejected_error or the failed result itself says by `retry_after()`.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> retry_after() const {
    std::optional<std::chrono::nanoseconds> after = retry_after_;
    with_exception<rejected_error>([&after](const rejected_error& e) { after = e.retry_after(); });
    return after;
  }

 private:
  std::exception_ptr exception_;
  const std::type_info* type_ = nullptr;
  const void* result_ = nullptr;
  std::optional<std::chrono::nanoseconds> retry_after_;
  bool failed_ = false;
  bool cancelled_ = false;
};

/// Decides whether an outcome is one a strategy deals with. Called with no lock held, from any thread that makes calls.
using outcome_predicate = std::function<bool(const outcome&)>;

/// A predicate for exceptions of these types: `.should_handle = handles<connection_lost, busy>()`.
template <class... E>
[[nodiscard]] outcome_predicate handles() {
  return [](const outcome& o) { return (o.threw<E>() || ...); };
}

/// What strategies deal with when nothing is said: every failure, except a call that was cancelled and a circuit that
/// was opened by hand.
[[nodiscard]] inline bool handled_by_default(const outcome& o) {
  return o.failed() && !o.cancelled() && !o.threw<isolated_circuit_error>();
}

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
