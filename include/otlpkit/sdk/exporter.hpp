// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/sdk/batch.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Why telemetry was lost. Every lost item is counted under exactly one of these.
enum class drop_reason : std::uint8_t {
  none,
  queue_full,  ///< the queue or its memory budget was full when the item ended
  too_large,   ///< the item alone exceeds the request limit
  rejected,  ///< the receiver took the request but refused items (partial success), or answered a status that must not
             ///< be retried
  unreachable,  ///< no connection, or retryable answers until the export timeout ran out
  shutdown,     ///< not delivered when the shutdown deadline passed
  failed,       ///< the exporter failed for a reason of its own (it threw, its output is gone)
  filtered,     ///< a processor took it out
};
inline constexpr std::size_t drop_reason_count = 8;

[[nodiscard]] constexpr std::string_view to_string(drop_reason r) noexcept {
  constexpr std::string_view names[drop_reason_count] = {"none",        "queue_full", "too_large", "rejected",
                                                         "unreachable", "shutdown",   "failed",    "filtered"};
  return names[static_cast<std::size_t>(r)];
}

/// How one export ended: `dropped` of the batch's items are lost for `reason`, all others arrived.
struct export_result {
  std::size_t dropped = 0;
  drop_reason reason = drop_reason::none;
  unsigned http_status = 0;  ///< of the last answer, where there was one: for self-metrics
};

/// Takes batches to one destination. Made for one pipeline and used from its thread only.
///
/// Give your own to `telemetry` through `settings::exporters`.
class exporter {
 public:
  using clock = std::chrono::steady_clock;
  using completion = std::function<void(export_result)>;

  exporter() = default;
  exporter(const exporter&) = delete;
  exporter& operator=(const exporter&) = delete;
  virtual ~exporter() = default;

  /// What diagnostics and self-metrics call it, like "otlp_http_span_exporter/0".
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;

  /// Which signals it takes.
  [[nodiscard]] virtual bool accepts(signal) const noexcept = 0;

  /// Whether another send() may start now. While every exporter of a signal says no, its items wait in the queue.
  [[nodiscard]] virtual bool ready(signal) const noexcept { return true; }

  /// Exports `b`, now or later, without blocking, and calls `done` exactly once, on the pipeline's thread (it may be
  /// called before send() returns). Retries are the exporter's own; a failure is final.
  virtual void send(std::shared_ptr<const batch> b, completion done) = 0;

  /// Everything still under way has until `deadline`; what is not done by then is dropped as `shutdown`. Called at most
  /// once; sends may still follow it.
  virtual void shutdown(clock::time_point deadline) { static_cast<void>(deadline); }

  /// Brings out what the exporter itself holds back (a console that waits for a trace to be complete).
  virtual void flush() {}

  /// How often tick() is wanted; zero: never.
  [[nodiscard]] virtual std::chrono::milliseconds tick_interval() const noexcept {
    return std::chrono::milliseconds{0};
  }
  /// Time has passed.
  virtual void tick(clock::time_point now) { static_cast<void>(now); }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
