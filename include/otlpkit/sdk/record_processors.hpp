// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/log_processor.hpp>
#include <otlpkit/sdk/span_processor.hpp>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// The processors of a pipeline, for spans and for log records.
class record_processors {
 public:
  using fate = span_processor_chain::fate;

  record_processors(std::vector<std::shared_ptr<span_processor>> spans,
                    std::vector<std::shared_ptr<log_processor>> logs)
      : spans_{std::move(spans)}, logs_{std::move(logs)} {}

  /// Whether any takes this signal.
  [[nodiscard]] bool take(signal s) const noexcept {
    return (s == signal::traces && !spans_.empty()) || (s == signal::logs && !logs_.empty());
  }
  /// \param record the message, as it lies in the threads' logs
  [[nodiscard]] fate show(signal s, std::uint16_t scope, std::string_view record) noexcept {
    if (s == signal::traces) return spans_.show(scope, record);
    return logs_.keeps(scope, record) ? fate::exported : fate::filtered;
  }
  /// Whether a record nobody will see any more is one the books know.
  [[nodiscard]] bool counts(signal s, std::string_view record) const noexcept {
    return s != signal::traces || spans_.counts(record);
  }
  void flush(signal s) noexcept {
    if (s == signal::traces) spans_.flush();
    if (s == signal::logs) logs_.flush();
  }
  void shutdown() noexcept {
    spans_.shutdown();
    logs_.shutdown();
  }

 private:
  span_processor_chain spans_;
  log_processor_chain logs_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
