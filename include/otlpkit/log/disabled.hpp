// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/log/severity.hpp>
#include <otlpkit/log/severity_macros.hpp>
#include <otlpkit/metrics/disabled.hpp>
#include <otlpkit/trace/disabled.hpp>

// What remains of logs where OTLPKIT_DISABLE is defined: the same code compiles and records nothing.
namespace otlpkit::inline OTLPKIT_ABI {

struct log_options {
  detail::ignored_text event_name{};
  const void* exception = nullptr;
  parent_choice context = {};
  unix_ns time = 0;
  const instrumentation_scope* scope = nullptr;
};

[[nodiscard]] constexpr bool log_enabled(severity) noexcept { return false; }
[[nodiscard]] constexpr bool log_enabled(severity, const instrumentation_scope&) noexcept { return false; }
constexpr void set_log_level(severity) noexcept {}
constexpr bool set_log_level(detail::ignored_text, severity) noexcept { return true; }

template <class Message>
constexpr void log(severity, const Message&, fields = {}, const log_options& = {}) noexcept {}

}  // namespace otlpkit::inline OTLPKIT_ABI

#define OTLPKIT_LOG(severity_, message, ...)           \
  do {                                                 \
    if (false) {                                       \
      ::otlpkit::detail::ignore(severity_, message);   \
      ::otlpkit::detail::ignore_fields({__VA_ARGS__}); \
    }                                                  \
  } while (false)
#define OTLPKIT_LOG_EVENT(severity_, event_name_, message, ...)   \
  do {                                                            \
    if (false) {                                                  \
      ::otlpkit::detail::ignore(severity_, event_name_, message); \
      ::otlpkit::detail::ignore_fields({__VA_ARGS__});            \
    }                                                             \
  } while (false)
#define OTLPKIT_LOG_EXCEPTION(severity_, exception_, message, ...) \
  OTLPKIT_LOG_EVENT(severity_, exception_, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_LOG_EVERY(severity_, interval, message, ...) \
  OTLPKIT_LOG_EVENT(severity_, interval, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_LOG_ONCE(severity_, message, ...) OTLPKIT_LOG(severity_, message __VA_OPT__(, ) __VA_ARGS__)
