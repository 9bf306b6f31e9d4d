// SPDX-License-Identifier: MIT
#include "pipeline.hpp"

#include "placement.hpp"

#include <otlpkit/telemetry.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace {

namespace sdk = otlpkit::sdk;

class discarding_exporter : public sdk::exporter {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "discard"; }
  [[nodiscard]] bool accepts(sdk::signal) const noexcept override { return true; }
  void send(std::shared_ptr<const sdk::batch>, completion done) override { done({}); }
};

constexpr std::chrono::seconds patience{30};  // with a machine that does other things

std::optional<otlpkit::telemetry> telemetry;
pipeline::totals sum;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

void wait() {
  if (!telemetry->flush(patience)) fail("the pipeline did not export in time");
}

void add(const sdk::signal_books& books) {
  sum.recorded += books.recorded;
  sum.delivered += books.delivered;
  sum.dropped += books.dropped();
}

}  // namespace

void pipeline::on() {
  if (!telemetry) {
    const placement::on_the_other_cores beside;
    otlpkit::settings settings{.service = "benchmark"};
    settings.exporters = {std::make_shared<discarding_exporter>()};
    // A repetition is a burst that the background thread, on a core shared with others, may fall behind of.
    settings.max_queue_bytes = std::size_t{64} << 20;
    settings.traces.max_queue_size = settings.logs.max_queue_size = 1u << 20;
    settings.views = {
        {.match = {.name = "bench.latency_exponential"}, .aggregation = otlpkit::aggregation::exponential()}};
    telemetry.emplace(settings, otlpkit::environment{{}});
  }
  wait();
}

void pipeline::off() {
  if (!telemetry) return;
  wait();
  if (!telemetry->shutdown(patience)) fail("telemetry did not end in time");
  const sdk::books books = telemetry->books();
  add(books.spans());
  add(books.log_records());
  if (books.spans().dropped() + books.log_records().dropped() != 0) std::fputs(to_string(books).c_str(), stderr);
  telemetry.reset();
}

pipeline::totals pipeline::close_books() {
  off();
  return sum;
}
