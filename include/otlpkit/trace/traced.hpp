// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/returns_awaitable.hpp>
#include <otlpkit/trace/span.hpp>

#include <exception>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// False where OTLPKIT_DISABLE is defined.
inline constexpr bool telemetry_compiled_in = true;

/// Says itself whether it holds a value or an error: std::expected and its kin.
template <class T>
concept expected_like = requires(const T& r) {
  static_cast<bool>(r.has_value());
  r.error();
};

/// std::error_code, boost::system::error_code.
template <class T>
concept error_code_like = requires(const T& e) {
  static_cast<bool>(e);
  e.value();
  std::string_view{e.category().name()};
  std::string_view{e.message()};
};

/// Puts what `e` says on the span.
template <class E>
void record_error(span& s, const E& e) noexcept {
  if constexpr (error_code_like<E>) {
    s.fail(e.category().name(), e.message());
    s.set("error.code", e.value());
  } else if constexpr (requires { std::string_view{e.what()}; }) {
    s.fail(platform::type_name{typeid(e).name()}.text(), e.what());
  } else if constexpr (text_like<E>) {
    s.fail("_OTHER", std::string_view{e});
  } else if constexpr (named_enum<E>) {
    s.fail(std::string_view{to_string(e)});
  } else if constexpr (std::is_enum_v<E>) {
    s.fail(platform::type_name{typeid(E).name()}.text());
    s.set("error.code", e);
  } else {
    s.fail(platform::type_name{typeid(E).name()}.text());
  }
}

/// Puts a failure that `result` carries on the span.
template <class T>
void record_result(span& s, const T& result) noexcept {
  if constexpr (expected_like<T>) {
    if (!result.has_value()) record_error(s, result.error());
  } else if constexpr (error_code_like<T>) {
    if (static_cast<bool>(result)) record_error(s, result);
  }
}

}  // namespace detail

/// The exception being handled, on `s`: an exception event, error.type and status ERROR; or otlpkit.cancelled, when it
/// says that whoever waits for this task has cancelled it. For use in a catch block.
inline void record_current_exception(span& s) noexcept {
  if (!s.recording()) return;
  try {
    throw;
  } catch (const std::exception& e) {
    if (detail::cancelled_by(e)) return s.set("otlpkit.cancelled", true);
    s.record_exception(e);
    s.fail(platform::type_name{typeid(e).name()}.text(), e.what());
  } catch (...) {
    s.event("exception", {{"exception.type", "unknown"}});
    s.fail("unknown");
  }
}

/// Runs `fn` in a span of its own and returns what it returns. An exception is recorded and passed on; so is the error
/// in an expected-like result or a std::error_code it ends with. `fn` takes nothing, or the span.
template <class F>
requires(!detail::returns_awaitable<F>) decltype(auto) traced(span_name name, fields attributes, F&& fn) {
  span_guard guard{name, attributes};
  const auto call = [&]() -> decltype(auto) {
    if constexpr (std::is_invocable_v<F&&, span&>) {
      return std::forward<F>(fn)(static_cast<span&>(guard));
    } else {
      return std::forward<F>(fn)();
    }
  };
  try {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
    } else {
      decltype(auto) result = call();
      detail::record_result(guard, result);
      if constexpr (std::is_reference_v<decltype(call())>) {
        return static_cast<decltype(call())>(result);
      } else {
        return result;  // by name: moved, or not even that
      }
    }
  } catch (...) {
    record_current_exception(guard);
    throw;
  }
}

/// As above, without fields.
template <class F>
requires(!detail::returns_awaitable<F>) decltype(auto) traced(span_name name, F&& fn) {
  return traced(name, {}, std::forward<F>(fn));
}

}  // namespace otlpkit::inline OTLPKIT_ABI
