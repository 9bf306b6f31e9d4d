// SPDX-License-Identifier: MIT
#include "sdk.hpp"

#include "../support/placement.hpp"

#include <opentelemetry/exporters/otlp/otlp_http_exporter_factory.h>
#include <opentelemetry/exporters/otlp/otlp_http_log_record_exporter_factory.h>
#include <opentelemetry/sdk/logs/batch_log_record_processor_factory.h>
#include <opentelemetry/sdk/logs/exporter.h>
#include <opentelemetry/sdk/logs/logger_provider.h>
#include <opentelemetry/sdk/logs/logger_provider_factory.h>
#include <opentelemetry/sdk/metrics/export/periodic_exporting_metric_reader_factory.h>
#include <opentelemetry/sdk/metrics/meter_provider.h>
#include <opentelemetry/sdk/metrics/meter_provider_factory.h>
#include <opentelemetry/sdk/metrics/push_metric_exporter.h>
#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/exporter.h>
#include <opentelemetry/sdk/trace/samplers/always_on_factory.h>
#include <opentelemetry/sdk/trace/samplers/parent_factory.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/noop.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

namespace {

namespace api = opentelemetry;
namespace sdk = opentelemetry::sdk;
namespace otlp = opentelemetry::exporter::otlp;
using sdk::common::ExportResult;

constexpr std::size_t queue = 8192;  // more than a case records before it waits
constexpr std::chrono::milliseconds delay{2};

std::atomic<std::uint64_t> exported_spans{0};
std::atomic<std::uint64_t> exported_logs{0};
std::uint64_t recorded_spans = 0;
std::uint64_t recorded_logs = 0;

/// Has its recordables from the OTLP exporter, so that they are OTLP messages.
template <class Exporter, class Recordable>
class discarding_exporter : public Exporter {
 public:
  discarding_exporter(std::unique_ptr<Exporter> real, std::atomic<std::uint64_t>& exported)
      : real_{std::move(real)}, exported_{exported} {}
  std::unique_ptr<Recordable> MakeRecordable() noexcept override { return real_->MakeRecordable(); }
  ExportResult Export(const api::nostd::span<std::unique_ptr<Recordable>>& records) noexcept override {
    exported_.fetch_add(records.size());
    return ExportResult::kSuccess;
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }

 private:
  std::unique_ptr<Exporter> real_;
  std::atomic<std::uint64_t>& exported_;
};
using span_exporter = discarding_exporter<sdk::trace::SpanExporter, sdk::trace::Recordable>;
using log_exporter = discarding_exporter<sdk::logs::LogRecordExporter, sdk::logs::Recordable>;

class metric_exporter : public sdk::metrics::PushMetricExporter {
 public:
  ExportResult Export(const sdk::metrics::ResourceMetrics&) noexcept override { return ExportResult::kSuccess; }
  sdk::metrics::AggregationTemporality GetAggregationTemporality(sdk::metrics::InstrumentType) const noexcept override {
    return sdk::metrics::AggregationTemporality::kCumulative;
  }
  bool ForceFlush(std::chrono::microseconds) noexcept override { return true; }
  bool Shutdown(std::chrono::microseconds) noexcept override { return true; }
};

sdk::trace::TracerProvider& tracers() {
  static const auto provider = [] {
    const placement::on_the_other_cores beside;
    return sdk::trace::TracerProviderFactory::Create(
        sdk::trace::BatchSpanProcessorFactory::Create(
            std::make_unique<span_exporter>(otlp::OtlpHttpExporterFactory::Create(), exported_spans),
            sdk::trace::BatchSpanProcessorOptions{}),
        sdk::resource::Resource::GetDefault(),
        sdk::trace::ParentBasedSamplerFactory::Create(sdk::trace::AlwaysOnSamplerFactory::Create()));
  }();
  return *provider;
}

sdk::logs::LoggerProvider& loggers() {
  static const auto provider = [] {
    const placement::on_the_other_cores beside;
    return sdk::logs::LoggerProviderFactory::Create(sdk::logs::BatchLogRecordProcessorFactory::Create(
        std::make_unique<log_exporter>(otlp::OtlpHttpLogRecordExporterFactory::Create(), exported_logs),
        sdk::logs::BatchLogRecordProcessorOptions{}));
  }();
  return *provider;
}

/// Not ForceFlush() alone: with nothing to flush it waits for the next scheduled export.
template <class Provider>
void settle(Provider& provider, const std::atomic<std::uint64_t>& exported, std::uint64_t recorded) {
  if (exported.load() != recorded) provider.ForceFlush();
  if (exported.load() == recorded) return;
  std::fprintf(stderr, "the reference SDK exported %llu records of %llu\n",
               static_cast<unsigned long long>(exported.load()), static_cast<unsigned long long>(recorded));
  std::exit(1);
}

}  // namespace

api::nostd::shared_ptr<api::trace::Tracer> peer::tracer() {
  settle(tracers(), exported_spans, recorded_spans);
  return tracers().GetTracer("benchmark");
}

api::nostd::shared_ptr<api::logs::Logger> peer::logger() {
  settle(loggers(), exported_logs, recorded_logs);
  return loggers().GetLogger("benchmark", "benchmark");
}

api::nostd::shared_ptr<api::metrics::Meter> peer::meter() {
  static const auto provider = [] {
    const placement::on_the_other_cores beside;
    auto made = sdk::metrics::MeterProviderFactory::Create();
    made->AddMetricReader(
        sdk::metrics::PeriodicExportingMetricReaderFactory::Create(std::make_unique<metric_exporter>(), {}));
    return made;
  }();
  return provider->GetMeter("benchmark");
}

api::nostd::shared_ptr<api::trace::Tracer> peer::no_tracer() {
  static api::trace::NoopTracerProvider provider;
  return provider.GetTracer("benchmark", "", "");
}

void peer::expect_spans(std::uint64_t count) { recorded_spans += count; }
void peer::expect_logs(std::uint64_t count) { recorded_logs += count; }
