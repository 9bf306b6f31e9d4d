// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

/// The telemetry that recording cases record into: a real pipeline, whose background thread drains, batches and hands
/// to an exporter that throws everything away. In pipeline.cpp, so that the cases compile without Boost.
namespace pipeline {

/// Telemetry is on when this returns, and nothing waits in it.
void on();

/// No telemetry.
void off();

struct totals {
  std::uint64_t recorded = 0;
  std::uint64_t delivered = 0;
  std::uint64_t dropped = 0;
};

/// What became of all spans and log records of the program. Switches telemetry off.
[[nodiscard]] totals close_books();

}  // namespace pipeline
