// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/log/level.hpp>
#include <otlpkit/testing/log_record.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// Records logs, and spans next to them, without an SDK, as long as it lives; one at a time.
class log_recording {
 public:
  explicit log_recording(std::uint32_t more_mode = 0, otlpkit::attribute_limits limits = {}) {
    otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
    r.clock.calibrate();
    r.log_attributes = limits;
    queue(std::size_t{8} << 20, 2048);
    otlpkit::detail::global_log_levels.reset();
    r.mode.store(otlpkit::detail::mode_logs | otlpkit::detail::mode_traces | otlpkit::detail::mode_parent_based |
                     otlpkit::detail::global_log_levels.mode() | more_mode,
                 otlpkit::platform::release);
  }
  log_recording(const log_recording&) = delete;
  log_recording& operator=(const log_recording&) = delete;

  ~log_recording() {
    otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
    r.mode.store(0, otlpkit::platform::release);
    r.log_attributes = {};
    r.logs.drain([](std::uint16_t, std::string_view) { return true; });
    r.spans.drain([](std::uint16_t, std::string_view) { return true; });
    otlpkit::detail::global_log_levels.reset();
  }

  /// How much may wait to be taken.
  static void queue(std::size_t bytes, std::int64_t records) {
    otlpkit::detail::global_runtime.logs.max_bytes.store(bytes, otlpkit::platform::relaxed);
    otlpkit::detail::global_runtime.logs.max_items.store(records, otlpkit::platform::relaxed);
  }

  /// The records made since the last call, in order on each thread.
  [[nodiscard]] std::vector<otlpkit::testing::log_record> take() {
    std::vector<otlpkit::testing::log_record> out;
    bool ok = true;
    otlpkit::detail::global_runtime.logs.drain([&](std::uint16_t scope, std::string_view record) {
      otlpkit::span_origin origin;
      origin.scope = otlpkit::scope_view{otlpkit::detail::global_scopes.encoded(scope)};
      const otlpkit::log_view log{record};
      out.push_back(otlpkit::testing::log_record::from(log, origin));
      ok = ok && log.ok();
      return true;
    });
    if (!ok) throw std::runtime_error{"a log record does not decode"};
    return out;
  }

  /// The one record made since the last call.
  [[nodiscard]] otlpkit::testing::log_record take_one() {
    std::vector<otlpkit::testing::log_record> records = take();
    if (records.size() != 1) throw std::runtime_error{"expected one log record, got " + std::to_string(records.size())};
    return std::move(records.front());
  }
};

}  // namespace support
