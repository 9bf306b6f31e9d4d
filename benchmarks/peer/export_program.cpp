// SPDX-License-Identifier: MIT
// The same as ../export_program.cpp with the reference SDK and its OTLP/HTTP exporter.
// Usage: peer_export SINK SPANS BATCH
#include "../support/export_run.hpp"

#include <opentelemetry/exporters/otlp/otlp_http_exporter_factory.h>
#include <opentelemetry/exporters/otlp/otlp_http_exporter_options.h>
#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/tracer_provider.h>
#include <opentelemetry/sdk/trace/tracer_provider_factory.h>
#include <opentelemetry/trace/scope.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>

namespace {

namespace otlp = opentelemetry::exporter::otlp;
namespace sdk = opentelemetry::sdk::trace;
using opentelemetry::trace::Scope;
using opentelemetry::trace::Tracer;

[[gnu::noinline]] void three_attributes(Tracer& tracer, const std::string& user, int items, bool hit) {
  const Scope current{tracer.StartSpan("child", {{"user_id", user}, {"item_count", items}, {"cache_hit", hit}})};
}

std::unique_ptr<sdk::TracerProvider> provider_to(const std::string& url, std::size_t batch) {
  const placement::on_the_other_cores beside;
  otlp::OtlpHttpExporterOptions to;
  to.url = url;
  to.content_type = otlp::HttpRequestContentType::kBinary;
  sdk::BatchSpanProcessorOptions options;
  options.max_export_batch_size = batch;
  options.max_queue_size = 4 * batch;
  return sdk::TracerProviderFactory::Create(
      sdk::BatchSpanProcessorFactory::Create(otlp::OtlpHttpExporterFactory::Create(to), options));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  sink_process sink{argv[1]};
  const int count = std::atoi(argv[2]);
  const int batch = std::atoi(argv[3]);
  auto provider = provider_to(sink.url(), static_cast<std::size_t>(batch));
  const auto tracer = provider->GetTracer("benchmark");
  const std::string user = "user-12345678";
  export_cost cost;
  {
    const Scope root{tracer->StartSpan("root")};
    // Bursts of half the queue: at that mark the processor starts to export by itself.
    cost = run_export(
        count, 2 * batch, [&] { three_attributes(*tracer, user, 3, true); }, [&] { provider->ForceFlush(); });
  }
  provider.reset();
  return report_export(cost, sink, 1);
}
