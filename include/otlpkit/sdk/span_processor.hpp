// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/context.hpp>
#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/scope.hpp>
#include <otlpkit/core/wire_reader.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Sees every finished span before it is put into a batch: to derive metrics, to look on in tests, to take out what
/// nobody wants. Give yours to `telemetry` through `settings::span_processors`.
///
/// The OnEnd of OpenTelemetry's SpanProcessor, called on the pipeline's thread and not on the one that ended the span:
/// when its signal is sent, which for a full queue is never. Spans that are recorded and not sampled (`record_only`,
/// always_record_sampler) come too, and go no further. An OnStart is not offered: a sampler sees a span that starts and
/// may add attributes to it.
class span_processor {
 public:
  span_processor() = default;
  span_processor(const span_processor&) = delete;
  span_processor& operator=(const span_processor&) = delete;
  virtual ~span_processor() = default;

  /// A span ended. The views are valid during the call, which must not block. False takes the span out: the processors
  /// after this one do not see it, it is not exported, and counts as dropped for drop_reason::filtered. A span for
  /// which this throws goes on.
  [[nodiscard]] virtual bool on_end(const span_view& span, const scope_view& scope) = 0;

  /// All spans that ended before a flush have been seen. On the pipeline's thread; must not block.
  virtual void flush() {}

  /// No more spans come. Once, on the pipeline's thread; not called when an exporter blocks that past the deadline.
  virtual void shutdown() {}
};

/// The processors of one pipeline, in the order they were given.
class span_processor_chain {
 public:
  enum class fate : std::uint8_t {
    exported,
    filtered,  ///< a processor took it out
    unsampled  ///< it was recorded for the processors alone
  };

  explicit span_processor_chain(std::vector<std::shared_ptr<span_processor>> processors)
      : processors_{std::move(processors)} {}

  [[nodiscard]] bool empty() const noexcept { return processors_.empty(); }

  /// \param record the message of a span, as it lies in the threads' logs
  [[nodiscard]] fate show(std::uint16_t scope, std::string_view record) noexcept {
    if (processors_.empty()) return fate::exported;
    const span_view span{record};
    const bool sampled = is_sampled(span);
    const scope_view origin{otlpkit::detail::global_scopes.encoded(scope)};
    for (const auto& p : processors_) {
      bool keep = true;
      guarded([&] { keep = p->on_end(span, origin); });
      if (!keep) return sampled ? fate::filtered : fate::unsampled;
    }
    return sampled ? fate::exported : fate::unsampled;
  }

  /// Whether a record nobody will see any more is one the books know.
  [[nodiscard]] bool counts(std::string_view record) const noexcept {
    return processors_.empty() || is_sampled(span_view{record});
  }

  void flush() noexcept {
    for (const auto& p : processors_) guarded([&] { p->flush(); });
  }
  void shutdown() noexcept {
    for (const auto& p : processors_) guarded([&] { p->shutdown(); });
  }

 private:
  [[nodiscard]] static bool is_sampled(const span_view& span) noexcept { return (span.flags() & flag_sampled) != 0; }

  template <class Call>
  static void guarded(Call call) noexcept {
    try {
      call();
    } catch (const std::exception& e) {
      report(diagnostic_level::error, std::string{"a span processor threw: "} + e.what());
    } catch (...) {
      report(diagnostic_level::error, "a span processor threw");
    }
  }

  std::vector<std::shared_ptr<span_processor>> processors_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
