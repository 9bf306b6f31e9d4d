// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/outcome.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>

#ifndef OTLPKIT_DISABLE
#include <otlpkit/core/given_fields.hpp>
#endif

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// How much an event of a strategy matters. `none` means that it is not told at all.
enum class event_severity : std::uint8_t { none, debug, information, warning, error, critical };

[[nodiscard]] constexpr std::string_view to_string(event_severity s) noexcept {
  constexpr std::string_view names[] = {"none", "debug", "information", "warning", "error", "critical"};
  return names[static_cast<std::size_t>(s)];
}

/// What a strategy knows of the call it is asked to make. Refers to text of the caller's.
struct call_info {
  std::string_view operation{};  ///< what is done, of low cardinality: names attempt spans, `operation.key` of metrics
  std::string_view pipeline{};   ///< the pipeline the strategy is part of
};

/// Something a strategy did that its user may want to know.
struct event {
  std::string_view name;  ///< Polly's names in snake case: `on_retry`
  event_severity severity;
  std::string_view strategy;  ///< the strategy's own name
  call_info call;
  std::string_view error_type = {};  ///< what the call ended with, if that was an error
};

/// Gives an event another severity, or none, which suppresses it. Must not throw; called from any thread.
using severity_provider = event_severity (*)(const event&) noexcept;

namespace detail {

#ifndef OTLPKIT_DISABLE

using otlpkit::detail::given_fields;

inline constinit const counter<std::int64_t> strategy_events{
    "otlpkit.resilience.events", {.unit = "{event}", .description = "What resilience strategies did, by event"}};
inline constinit const histogram attempt_duration{"otlpkit.resilience.attempt.duration",
                                                  in_seconds("Duration of single attempts")};
inline constinit const histogram pipeline_duration{"otlpkit.resilience.pipeline.duration",
                                                   in_seconds("Duration of calls through a resilience pipeline")};

#endif

/// Whether anybody wants spans or metrics: else clocks need not be read for them.
[[nodiscard]] inline bool telemetry_on() noexcept {
#ifdef OTLPKIT_DISABLE
  return false;
#else
  return (otlpkit::detail::global_runtime.mode.load(platform::relaxed) &
          (otlpkit::detail::mode_traces | otlpkit::detail::mode_metrics)) != 0;
#endif
}

/// Adds an event to the metric `otlpkit.resilience.events`.
inline void count_event([[maybe_unused]] const event& e) noexcept {
#ifndef OTLPKIT_DISABLE
  given_fields{{"event.name", e.name},
               {"event.severity", to_string(e.severity)},
               {"strategy.name", e.strategy},
               {"pipeline.name", e.call.pipeline},
               {"operation.key", e.call.operation},
               {"error.type", e.error_type}}
      .pass_to([](fields labels) { strategy_events.add(1, labels); });
#endif
}

}  // namespace detail

/// Tells an event: counts it in `otlpkit.resilience.events`, and adds it to the current span with `details`. An event
/// of severity debug is only counted.
/// \param severity the strategy's option of that name, or nullptr
inline void tell(event e, fields details = {}, severity_provider severity = nullptr) noexcept {
  if (severity != nullptr) e.severity = severity(e);
  if (e.severity == event_severity::none) return;
  detail::count_event(e);
  if (e.severity == event_severity::debug) return;
#ifndef OTLPKIT_DISABLE
  span& here = current_span();
  if (!here.recording()) return;
  detail::given_fields{{"event.severity", to_string(e.severity)},
                       {"strategy.name", e.strategy},
                       {"pipeline.name", e.call.pipeline},
                       {"operation.key", e.call.operation},
                       {"error.type", e.error_type}}
      .pass_to([&](fields common) { here.event(e.name, common, details, 0); });
#else
  static_cast<void>(details);
#endif
}

namespace detail {

/// Puts how a call ended on a span: a rejection by its reason, any other exception by its type.
inline void record_failure(span& s, const std::exception_ptr& exception) noexcept {
  if (!s.recording() || exception == nullptr) return;
  try {
    std::rethrow_exception(exception);
  } catch (const rejected_error& e) {
    s.record_exception(e);
    s.fail(e.reason_text(), e.what());
  } catch (...) {
    record_current_exception(s);
  }
}

/// Records an exception that did not make the call fail.
inline void note_exception(span& s, const std::exception_ptr& exception) noexcept {
  if (!s.recording() || exception == nullptr) return;
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    s.record_exception(e);
  } catch (...) {
    s.event("exception", {{"exception.type", "unknown"}});
  }
}

/// A low-cardinality name for what a call ended with, for error.type of events; empty when it did not fail.
class error_name {
 public:
  explicit error_name([[maybe_unused]] const outcome& o) noexcept {
#ifndef OTLPKIT_DISABLE
    if (o.exception() == nullptr) {
      if (o.failed()) text_ = "_OTHER";
      return;
    }
    try {
      std::rethrow_exception(o.exception());
    } catch (const rejected_error& e) {
      text_ = e.reason_text();
    } catch (const std::exception& e) {
      text_ = name(typeid(e).name());
    } catch (...) {
      text_ = "unknown";
    }
#endif
  }
  [[nodiscard]] std::string_view text() const noexcept { return text_; }

 private:
#ifndef OTLPKIT_DISABLE
  [[nodiscard]] std::string_view name(const char* mangled) noexcept {
    const platform::type_name readable{mangled};
    const std::string_view full{readable.text()};
    return {kept_, full.copy(kept_, sizeof kept_)};
  }

  char kept_[160];
#endif
  std::string_view text_;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
