// SPDX-License-Identifier: MIT
// Business patterns around work that is done at once: what a call pays for them.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/canary/router.hpp>
#include <otlpkit/messaging/idempotency.hpp>
#include <otlpkit/messaging/saga.hpp>
#include <otlpkit/otlpkit.hpp>

#include <string>

namespace {

namespace messaging = otlpkit::messaging;

/// A key whose result is known.
void idempotency(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  messaging::memory_idempotency_store store;
  messaging::idempotency_guard guard{store, {.name = "charges"}};
  cases::measure(state, [&] {
    benchmark::DoNotOptimize(guard.run("0123456789abcdef", "{\"order\": 1}", [] { return std::string{"r-1"}; }));
  });
}

/// A decision by percentage, each on a span of its own.
void canary(benchmark::State& state) {
  pipeline::on();
  otlpkit::canary::router router{{.name = "checkout"}, {.variants = {{.percentage = 50, .groups = {"staff"}}}}};
  cases::measure(state, [&] {
    OTLPKIT_SPAN("root");
    benchmark::DoNotOptimize(router.decide({.key = "user-4711"}));
  });
}

/// Three steps, in spans of their own.
void saga(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  messaging::saga<int> three{{.name = "order.place"}};
  for (const char* name : {"reserve", "charge", "ship"}) three.step(name, [](int& done) { ++done; });
  int done = 0;
  cases::measure(state, [&] { three.run(done); });
  benchmark::DoNotOptimize(done);
}

BENCHMARK(idempotency)->Name("decorator_idempotency")->Iterations(cases::burst / 8);
BENCHMARK(canary)->Name("decorator_canary")->Iterations(cases::burst / 8);
BENCHMARK(saga)->Name("decorator_saga")->Iterations(cases::burst / 8);

}  // namespace
