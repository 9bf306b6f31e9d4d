// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/scope.hpp>
#include <otlpkit/core/wire_reader.hpp>
#include <otlpkit/log/log_view.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Sees every log record before it is put into a batch: to count what is said, to look on in tests, to take out what
/// nobody wants. Give yours to `telemetry` through `settings::log_processors`.
///
/// The OnEmit of OpenTelemetry's LogRecordProcessor, called on the pipeline's thread and not on the one that made the
/// record: when its signal is sent, which for a full queue is never.
class log_processor {
 public:
  log_processor() = default;
  log_processor(const log_processor&) = delete;
  log_processor& operator=(const log_processor&) = delete;
  virtual ~log_processor() = default;

  /// A record was made. The views are valid during the call, which must not block. False takes the record out: the
  /// processors after this one do not see it, it is not exported, and counts as dropped for drop_reason::filtered. A
  /// record for which this throws goes on.
  [[nodiscard]] virtual bool on_emit(const log_view& record, const scope_view& scope) = 0;

  /// All records made before a flush have been seen. On the pipeline's thread; must not block.
  virtual void flush() {}

  /// No more records come. Once, on the pipeline's thread; not called when an exporter blocks that past the deadline.
  virtual void shutdown() {}
};

/// The processors of one pipeline, in the order they were given.
class log_processor_chain {
 public:
  explicit log_processor_chain(std::vector<std::shared_ptr<log_processor>> processors)
      : processors_{std::move(processors)} {}

  [[nodiscard]] bool empty() const noexcept { return processors_.empty(); }

  /// Whether the record goes on.
  /// \param record the message, as it lies in the threads' logs
  [[nodiscard]] bool keeps(std::uint16_t scope, std::string_view record) noexcept {
    if (processors_.empty()) return true;
    const log_view log{record};
    const scope_view origin{otlpkit::detail::global_scopes.encoded(scope)};
    for (const auto& p : processors_) {
      bool keep = true;
      guarded([&] { keep = p->on_emit(log, origin); });
      if (!keep) return false;
    }
    return true;
  }

  void flush() noexcept {
    for (const auto& p : processors_) guarded([&] { p->flush(); });
  }
  void shutdown() noexcept {
    for (const auto& p : processors_) guarded([&] { p->shutdown(); });
  }

 private:
  template <class Call>
  static void guarded(Call call) noexcept {
    try {
      call();
    } catch (const std::exception& e) {
      report(diagnostic_level::error, std::string{"a log processor threw: "} + e.what());
    } catch (...) {
      report(diagnostic_level::error, "a log processor threw");
    }
  }

  std::vector<std::shared_ptr<log_processor>> processors_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
