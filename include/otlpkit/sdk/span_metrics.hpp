// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/wire_reader.hpp>
#include <otlpkit/metrics/instruments.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <cstdint>
#include <memory>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Makes rate, errors and duration per span name out of the spans that are exported: a counter
/// `traces.span.metrics.calls` and a histogram `traces.span.metrics.duration` in seconds, with the attributes
/// span.name, span.kind and status.code (the names of the OpenTelemetry Collector's span metrics connector). Views
/// apply to them as to any instrument. Spans that are not sampled are not counted.
class span_metrics final : public exporter {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "span_metrics"; }
  [[nodiscard]] bool accepts(signal s) const noexcept override { return s == signal::traces; }

  void send(std::shared_ptr<const batch> b, completion done) override {
    for (const scope_items& scope : b->scopes()) {
      for (wire::reader spans{scope.items}; spans.next();) measure(spans.bytes());
    }
    done({});
  }

 private:
  /// opentelemetry/proto/trace/v1/trace.proto, message Span
  void measure(std::string_view span) {
    constexpr std::string_view kinds[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
                                          "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"};
    constexpr std::string_view codes[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};
    std::string_view name;
    std::uint64_t kind = 0, start = 0, end = 0, code = 0;
    for (wire::reader f{span}; f.next();) {
      switch (f.number()) {
        case 5: name = f.bytes(); break;
        case 6: kind = f.value(); break;
        case 7: start = f.value(); break;
        case 8: end = f.value(); break;
        case 15:
          for (wire::reader status{f.bytes()}; status.next();) {
            if (status.number() == 3) code = status.value();
          }
          break;
        default: break;
      }
    }
    const std::string_view of_kind = kinds[kind < std::size(kinds) ? kind : 0];
    const std::string_view of_code = codes[code < std::size(codes) ? code : 0];
    calls_.add(1, {{"span.name", name}, {"span.kind", of_kind}, {"status.code", of_code}});
    duration_.record(end > start ? static_cast<double>(end - start) * 1e-9 : 0,
                     {{"span.name", name}, {"span.kind", of_kind}, {"status.code", of_code}});
  }

  counter<std::int64_t> calls_{"traces.span.metrics.calls", {.unit = "{call}", .description = "Spans that ended"}};
  histogram duration_{"traces.span.metrics.duration",
                      {.unit = "s", .description = "How long spans took", .bounds = seconds_bucket_bounds}};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
