// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/disabled.hpp>
#include <otlpkit/core/id_types.hpp>
#include <otlpkit/trace/returns_awaitable.hpp>

#include <cstdint>
#include <initializer_list>

// The trace API where OTLPKIT_DISABLE is defined. Functions run what they wrap; all else is empty.
namespace otlpkit::inline OTLPKIT_ABI {

using unix_ns = std::uint64_t;

enum class span_kind : std::uint8_t { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 };
enum class status_code : std::uint8_t { unset = 0, ok = 1, error = 2 };

struct trace_state {
  constexpr trace_state() noexcept = default;
  template <class Text>
  constexpr explicit trace_state(const Text&) noexcept {}
  [[nodiscard]] constexpr bool empty() const noexcept { return true; }
};

struct span_context {
  otlpkit::trace_id trace;
  otlpkit::span_id span;
  std::uint8_t flags = 0;
  bool remote = false;
  trace_state state;

  [[nodiscard]] constexpr bool valid() const noexcept { return trace.valid() && span.valid(); }
  [[nodiscard]] constexpr bool sampled() const noexcept { return (flags & flag_sampled) != 0; }
};

struct span_link {
  span_context context;
  fields attributes = {};
};

struct no_parent_t {};
inline constexpr no_parent_t no_parent{};

class parent_choice {
 public:
  constexpr parent_choice() noexcept = default;
  constexpr parent_choice(const span_context&) noexcept {}  // NOLINT(google-explicit-constructor)
  constexpr parent_choice(no_parent_t) noexcept {}          // NOLINT(google-explicit-constructor)
};

struct span_options {
  span_kind kind = span_kind::internal;
  parent_choice parent = {};
  std::initializer_list<span_link> links = {};
  unix_ns start_time = 0;
  const instrumentation_scope* scope = nullptr;
};

namespace detail {
inline constexpr span_context no_context{};
}

[[nodiscard]] constexpr const span_context& current_context() noexcept { return detail::no_context; }

class [[nodiscard]] span {
 public:
  template <class Name>
  constexpr explicit span(const Name&, fields = {}, const span_options& = {}) noexcept {}
  constexpr span(span&&) noexcept {}
  span& operator=(span&&) = delete;
  constexpr ~span() {}  // not trivial: a guard that is only there to live is no unused variable

  [[nodiscard]] constexpr bool recording() const noexcept { return false; }
  [[nodiscard]] constexpr const span_context& context() const noexcept { return detail::no_context; }
  template <class Key, class Value>
  constexpr void set(const Key&, const Value&) noexcept {}
  constexpr void set(fields) noexcept {}
  template <class Name>
  constexpr void event(const Name&, fields = {}, unix_ns = 0) noexcept {}
  constexpr void link(const span_context&, fields = {}) noexcept {}
  constexpr void status(status_code) noexcept {}
  template <class Text>
  constexpr void status(status_code, const Text&) noexcept {}
  template <class... Text>
  constexpr void fail(const Text&...) noexcept {}
  template <class Exception>
  constexpr void record_exception(const Exception&, fields = {}) noexcept {}
  template <class Name>
  constexpr void rename(const Name&) noexcept {}
  constexpr void end(unix_ns = 0) noexcept {}
};

class [[nodiscard]] span_guard : public span {
 public:
  using span::span;
  constexpr span_guard(span_guard&&) noexcept = default;
};

namespace detail {
inline constinit span idle_span{""};
constexpr span& no_span() noexcept { return idle_span; }
}

[[nodiscard]] constexpr span& current_span() noexcept { return detail::no_span(); }

constexpr void record_current_exception(span&) noexcept {}

namespace detail {
inline constexpr bool telemetry_compiled_in = false;

template <class T>
concept expected_like = requires(const T& r) {
  static_cast<bool>(r.has_value());
  r.error();
};

template <class T>
constexpr void record_result(span&, const T&) noexcept {}
}  // namespace detail

namespace detail {
/// Calls `fn` with the span if it takes one.
template <class F>
constexpr decltype(auto) call_untraced(F&& fn) {
  if constexpr (requires { static_cast<F&&>(fn)(detail::no_span()); }) {
    return static_cast<F&&>(fn)(detail::no_span());
  } else {
    return static_cast<F&&>(fn)();
  }
}
}  // namespace detail

template <class Name, class F>
requires(!detail::returns_awaitable<F>) constexpr decltype(auto) traced(const Name&, fields, F&& fn) {
  return detail::call_untraced(static_cast<F&&>(fn));
}
template <class Name, class F>
requires(!detail::returns_awaitable<F>) constexpr decltype(auto) traced(const Name&, F&& fn) {
  return detail::call_untraced(static_cast<F&&>(fn));
}

}  // namespace otlpkit::inline OTLPKIT_ABI

#define OTLPKIT_SPAN(name, ...)                        \
  do {                                                 \
    if (false) {                                       \
      ::otlpkit::detail::ignore(name);                 \
      ::otlpkit::detail::ignore_fields({__VA_ARGS__}); \
    }                                                  \
  } while (false)
#define OTLPKIT_EVENT(name, ...) OTLPKIT_SPAN(name __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_RECORD(key, ...)                            \
  do {                                                      \
    if (false) ::otlpkit::detail::ignore(key, __VA_ARGS__); \
  } while (false)
#define OTLPKIT_FAIL(...)                              \
  do {                                                 \
    if (false) ::otlpkit::detail::ignore(__VA_ARGS__); \
  } while (false)
