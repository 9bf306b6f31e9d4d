// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/event.hpp>
#include <otlpkit/resilience/outcome.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

/// How a call that returns a T ended: its result or its exception, as a value that a strategy can look at before it is
/// passed on. The blocking and the awaitable forms differ only in how they come by it.
template <class T>
class settled {
 public:
  /// Calls `fn`, and keeps what it ends with.
  template <class F>
  [[nodiscard]] static settled of(F&& fn) {
    settled s;
    try {
      if constexpr (std::is_void_v<T>) {
        std::invoke(fn);
      } else {
        s.keep(std::invoke(fn));
      }
    } catch (...) {
      s.fail(std::current_exception(), false);
    }
    return s;
  }

  template <class Result>
  void keep(Result&& result) {
    if constexpr (std::is_reference_v<T>) {
      value_.emplace(std::addressof(result));
    } else {
      value_.emplace(std::forward<Result>(result));
    }
  }
  void fail(std::exception_ptr e, bool cancelled) noexcept {
    failure_ = std::move(e);
    cancelled_ = cancelled;
  }

  [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

  /// As predicates see it. Refers to this.
  [[nodiscard]] outcome view() const {
    if (failure_ != nullptr) return outcome{failure_, cancelled_};
    if constexpr (std::is_void_v<T>) {
      return {};
    } else if constexpr (std::is_reference_v<T>) {
      return outcome::of(**value_);
    } else {
      return outcome::of(*value_);
    }
  }

  /// The result, or throws the exception. Once.
  T take() {
    if (failure_ != nullptr) std::rethrow_exception(failure_);
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(**value_);
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(*value_);
    }
  }

  /// What the call's span says of it.
  void record(span& s) const noexcept {
    if (!s.recording()) return;
    if (failure_ != nullptr) return record_failure(s, failure_);
    if constexpr (std::is_reference_v<T>) {
      otlpkit::detail::record_result(s, **value_);
    } else if constexpr (!std::is_void_v<T>) {
      otlpkit::detail::record_result(s, *value_);
    }
  }

 private:
  struct nothing {};
  using kept =
      std::conditional_t<std::is_void_v<T>, nothing,
                         std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, std::remove_cv_t<T>>>;

  std::optional<kept> value_;
  std::exception_ptr failure_;
  bool cancelled_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
