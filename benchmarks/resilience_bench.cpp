// SPDX-License-Identifier: MIT
// Each resilience strategy around a call that succeeds at once: what a call pays for protection it does not need.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/resilience.hpp>

#include <chrono>

namespace {

using namespace std::chrono_literals;
namespace resilience = otlpkit::resilience;

template <class Strategy>
void around_nothing(benchmark::State& state, const Strategy& strategy) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  int price = 4200;
  cases::hide(price);
  cases::measure(state, [&] { benchmark::DoNotOptimize(strategy.execute("price.get", [&] { return price; })); });
}

void retry(benchmark::State& state) { around_nothing(state, resilience::retry_policy{}); }
void circuit_breaker(benchmark::State& state) { around_nothing(state, resilience::circuit_breaker{}); }
void bulkhead(benchmark::State& state) { around_nothing(state, resilience::bulkhead{}); }
void timeout(benchmark::State& state) { around_nothing(state, resilience::timeout{30s}); }

/// So many permits that no call waits.
void rate_limiter(benchmark::State& state) {
  around_nothing(state, resilience::rate_limiter{{.permits_per_second = 1e9, .burst = 1e9}});
}

BENCHMARK(retry)->Name("decorator_retry")->Iterations(cases::burst / 8);
BENCHMARK(circuit_breaker)->Name("decorator_circuit_breaker")->Iterations(cases::burst / 8);
BENCHMARK(bulkhead)->Name("decorator_bulkhead")->Iterations(cases::burst / 8);
BENCHMARK(rate_limiter)->Name("decorator_rate_limiter")->Iterations(cases::burst / 8);
BENCHMARK(timeout)->Name("decorator_timeout")->Iterations(cases::burst / 8);

}  // namespace
