// SPDX-License-Identifier: MIT
// What a span costs from its first line to the socket: CPU time of the whole process, sent over OTLP/HTTP to a receiver
// in another process. Usage: otlpkit_export SINK SPANS BATCH
#include "support/export_run.hpp"

#include <otlpkit/telemetry.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace {

[[gnu::noinline]] void three_attributes(const std::string& user, int items, bool hit) {
  OTLPKIT_SPAN("child", {"user_id", user}, {"item_count", items}, {"cache_hit", hit});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  sink_process sink{argv[1]};
  const int count = std::atoi(argv[2]);
  const int batch = std::atoi(argv[3]);
  const int burst = 4 * batch;

  otlpkit::settings settings{.service = "benchmark"};
  settings.traces.endpoint = sink.url();
  settings.traces.exporters = {"otlp"};
  settings.metrics.exporters = settings.logs.exporters = std::vector<std::string>{};
  settings.traces.max_export_batch_size = static_cast<std::uint32_t>(batch);
  settings.traces.max_queue_size = static_cast<std::uint32_t>(2 * burst);
  std::optional<otlpkit::telemetry> telemetry;
  {
    const placement::on_the_other_cores beside;
    telemetry.emplace(settings, otlpkit::environment{{}});
  }
  const std::string user = "user-12345678";
  export_cost cost;
  {
    OTLPKIT_SPAN("root");
    cost = run_export(
        count, burst, [&] { three_attributes(user, 3, true); },
        [&] { static_cast<void>(telemetry->flush(std::chrono::seconds{30})); });
  }
  telemetry->shutdown(std::chrono::seconds{30});
  const otlpkit::sdk::signal_books books = telemetry->books().spans();
  if (books.dropped() != 0) {
    std::fprintf(stderr, "%llu spans dropped\n", static_cast<unsigned long long>(books.dropped()));
    return 1;
  }
  return report_export(cost, sink, 1);
}
