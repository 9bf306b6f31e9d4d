// SPDX-License-Identifier: MIT
// What a message pays for its trace: sending to, and handling from, a client that does nothing; an item for its batch.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/messaging/batcher.hpp>
#include <otlpkit/messaging/consumer.hpp>
#include <otlpkit/messaging/producer.hpp>
#include <otlpkit/otlpkit.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace messaging = otlpkit::messaging;

const messaging::broker_info nowhere{.system = "nowhere", .server_address = "127.0.0.1", .server_port = 1};

struct null_producer {
  messaging::message last{};
  void publish(std::string_view, messaging::message m) { last = std::move(m); }
};

void producer(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  null_producer client;
  messaging::traced_producer out{client, {.broker = nowhere}};
  cases::measure(state, [&] { out.publish("orders", {.body = "1"}); });
}

void consumer(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  const messaging::traced_processor in{{.source = {.broker = nowhere, .destination = "orders", .group = "billing"},
                                        .relation = messaging::relation::continued}};
  messaging::message m{.body = "1"};
  otlpkit::inject(m.headers);
  cases::measure(state, [&] { in.process(m, [](const auto& one) { benchmark::DoNotOptimize(one.body.data()); }); });
}

/// One add(); the batches of 512 are taken by the batcher's thread meanwhile.
void batcher(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  messaging::batcher<int> items{{}, [](std::vector<int>& all) { benchmark::DoNotOptimize(all.data()); }};
  cases::measure(state, [&] { benchmark::DoNotOptimize(items.add(1)); });
}

BENCHMARK(producer)->Name("decorator_producer")->Iterations(cases::burst / 8);
BENCHMARK(consumer)->Name("decorator_consumer")->Iterations(cases::burst / 8);
BENCHMARK(batcher)->Name("decorator_batcher")->Iterations(cases::burst / 8);

}  // namespace
