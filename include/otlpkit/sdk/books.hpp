// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// What became of the items of one signal. When nothing is under way, recorded = delivered + dropped.
///
/// With several exporters an item is delivered when all of them took it, and dropped when at least one lost it.
struct signal_books {
  std::uint64_t recorded = 0;  ///< ended spans, emitted log records, collected metric data points
  std::uint64_t delivered = 0;
  std::array<std::uint64_t, drop_reason_count> dropped_by{};  ///< by drop_reason

  [[nodiscard]] std::uint64_t dropped() const noexcept {
    return std::accumulate(dropped_by.begin(), dropped_by.end(), std::uint64_t{0});
  }
  [[nodiscard]] std::uint64_t dropped(drop_reason why) const noexcept {
    return dropped_by[static_cast<std::size_t>(why)];
  }
};

/// The books of all signals.
struct books {
  std::array<signal_books, signal_count> signals;

  [[nodiscard]] const signal_books& of(signal s) const noexcept { return signals[static_cast<std::size_t>(s)]; }
  [[nodiscard]] const signal_books& spans() const noexcept { return of(signal::traces); }
  [[nodiscard]] const signal_books& metric_points() const noexcept { return of(signal::metrics); }
  [[nodiscard]] const signal_books& log_records() const noexcept { return of(signal::logs); }
};

/// "spans recorded=12 delivered=12 dropped=0" and the same for metric points and log records, a line each where
/// anything was recorded (spans always). Reasons follow where something was lost.
[[nodiscard]] inline std::string to_string(const books& b) {
  constexpr std::string_view names[signal_count] = {"spans", "metric points", "log records"};
  std::string out;
  for (std::size_t i = 0; i < signal_count; ++i) {
    const signal_books& s = b.signals[i];
    if (s.recorded == 0 && i != 0) continue;
    out += "otlpkit: ";
    out += names[i];
    out += " recorded=" + std::to_string(s.recorded) + " delivered=" + std::to_string(s.delivered) +
           " dropped=" + std::to_string(s.dropped());
    for (std::size_t r = 0; r < drop_reason_count; ++r) {
      if (s.dropped_by[r] == 0) continue;
      out += ' ';
      out += to_string(static_cast<drop_reason>(r));
      out += '=' + std::to_string(s.dropped_by[r]);
    }
    out += '\n';
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
