// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/books.hpp>
#include <otlpkit/sdk/settings.hpp>

#include <chrono>

namespace otlpkit::inline OTLPKIT_ABI {

/// telemetry where OTLPKIT_DISABLE is defined: takes its settings and does nothing.
class telemetry {
 public:
  explicit telemetry(const settings& = {}) noexcept {}
  telemetry(const telemetry&) = delete;
  telemetry& operator=(const telemetry&) = delete;
  bool flush(std::chrono::milliseconds = std::chrono::seconds{5}) noexcept { return true; }
  bool shutdown(std::chrono::milliseconds = std::chrono::seconds{5}) noexcept { return true; }
  [[nodiscard]] sdk::books books() const { return {}; }
};

}  // namespace otlpkit::inline OTLPKIT_ABI
