// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/platform.hpp>

namespace otlpkit::inline OTLPKIT_ABI::detail {

OTLPKIT_VISIBLE inline constinit platform::atomic<bool> shared_task_reported{false};
OTLPKIT_VISIBLE inline constinit platform::atomic<bool> stray_guard_reported{false};

/// Two coroutines run as one task: each finds the other's spans. Said once.
OTLPKIT_COLD inline void report_shared_task() noexcept {
  if (shared_task_reported.exchange(true, platform::relaxed)) return;
  report(diagnostic_level::warning,
         "spans of one task ended out of order: two coroutines seem to share the task, so that some spans have wrong "
         "parents. Start coroutines with otlpkit::co_spawn, or include otlpkit/asio/co_spawn.hpp where "
         "boost::asio::co_spawn is called (docs/async.md)");
}

/// A guard that belongs to no task was not the current one of its thread at its end: it ended on another one, or among
/// those of other coroutines. Said once.
OTLPKIT_COLD inline void report_stray_guard() noexcept {
  if (stray_guard_reported.exchange(true, platform::relaxed)) return;
  report(
      diagnostic_level::warning,
      "a span guard ended on another thread than it began on, or not in the reverse order of beginning, so that some "
      "spans have wrong parents. Start coroutines with otlpkit::co_spawn, and use otlpkit::span for what is kept in "
      "objects (docs/async.md)");
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
