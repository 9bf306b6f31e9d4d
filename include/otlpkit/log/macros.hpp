// SPDX-License-Identifier: MIT
#pragma once

#ifdef OTLPKIT_DISABLE
#include <otlpkit/log/disabled.hpp>
#else

#include <otlpkit/log/log.hpp>
#include <otlpkit/log/throttle.hpp>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Whether records of this severity are compiled at all.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr bool compiled(severity s, severity least) noexcept {
  return least != severity::off && (s == severity::unspecified || s >= least);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail

// The severity in a macro may be known at run time only; in all others everything up to the one load is folded away.
#define OTLPKIT_LOGS_(severity_)                                                         \
  (::otlpkit::detail::compiled(severity_, ::otlpkit::severity::OTLPKIT_LOG_MIN_LEVEL) && \
   ::otlpkit::detail::logs(severity_, otlpkit_scope(0)))

/// Records a message: OTLPKIT_LOG(otlpkit::severity::info, "product loaded", {"product_id", id}). Message and fields
/// are evaluated only if the record is kept: its severity is compiled (OTLPKIT_LOG_MIN_LEVEL) and reaches the level set
/// at run time. The scope is that of the enclosing OTLPKIT_SCOPE.
#define OTLPKIT_LOG(severity_, message, ...)                                                     \
  do {                                                                                           \
    if (const ::otlpkit::severity otlpkit_severity = severity_; OTLPKIT_LOGS_(otlpkit_severity)) \
      ::otlpkit::detail::emit_log(otlpkit_scope(0), otlpkit_severity, message, {__VA_ARGS__});   \
  } while (false)

/// Records an event: a record with a name that says what kind of thing happened, for programs to look for.
/// OTLPKIT_LOG_EVENT(otlpkit::severity::info, "user.login", "logged in", {"user_id", id}); nullptr for no message.
#define OTLPKIT_LOG_EVENT(severity_, event_name_, message, ...)                                  \
  do {                                                                                           \
    if (const ::otlpkit::severity otlpkit_severity = severity_; OTLPKIT_LOGS_(otlpkit_severity)) \
      ::otlpkit::detail::emit_log(otlpkit_scope(0), otlpkit_severity, message, {__VA_ARGS__},    \
                                  {.event_name = event_name_});                                  \
  } while (false)

/// Records a message with the type and text of an exception: OTLPKIT_LOG_EXCEPTION(otlpkit::severity::warn, e, "payment
/// will be tried again").
#define OTLPKIT_LOG_EXCEPTION(severity_, exception_, message, ...)                               \
  do {                                                                                           \
    if (const ::otlpkit::severity otlpkit_severity = severity_; OTLPKIT_LOGS_(otlpkit_severity)) \
      ::otlpkit::detail::emit_log(otlpkit_scope(0), otlpkit_severity, message, {__VA_ARGS__},    \
                                  {.exception = &(exception_)});                                 \
  } while (false)

/// Records the first of the messages that come within an interval (a std::chrono duration, or a number of seconds), for
/// each place in the code. The next one says in otlpkit.log.suppressed how many were not recorded meanwhile.
#define OTLPKIT_LOG_EVERY(severity_, interval, message, ...)                                            \
  do {                                                                                                  \
    if (const ::otlpkit::severity otlpkit_severity = severity_; OTLPKIT_LOGS_(otlpkit_severity)) {      \
      static constinit ::otlpkit::detail::log_throttle otlpkit_throttle{};                              \
      if (::std::uint64_t otlpkit_suppressed = 0; otlpkit_throttle.admit(interval, otlpkit_suppressed)) \
        ::otlpkit::detail::emit_log(otlpkit_scope(0), otlpkit_severity, message, {__VA_ARGS__},         \
                                    ::otlpkit::detail::no_log_options, otlpkit_suppressed);             \
    }                                                                                                   \
  } while (false)

/// Records a message the first time it is kept, for each place in the code and run of the program.
#define OTLPKIT_LOG_ONCE(severity_, message, ...)                                                  \
  do {                                                                                             \
    if (const ::otlpkit::severity otlpkit_severity = severity_; OTLPKIT_LOGS_(otlpkit_severity)) { \
      static constinit ::otlpkit::detail::log_once otlpkit_once{};                                 \
      if (otlpkit_once.first())                                                                    \
        ::otlpkit::detail::emit_log(otlpkit_scope(0), otlpkit_severity, message, {__VA_ARGS__});   \
    }                                                                                              \
  } while (false)

#include <otlpkit/log/severity_macros.hpp>

#endif
