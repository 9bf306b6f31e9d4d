// SPDX-License-Identifier: MIT
// The cases of ../span_bench.cpp on the reference SDK: a span that is current as long as its scope, and ends with it.
#include "../support/case.hpp"
#include "sdk.hpp"

#include <opentelemetry/trace/scope.h>
#include <opentelemetry/trace/span_context.h>

#include <cstdint>
#include <string>

namespace {

namespace trace = opentelemetry::trace;
using trace::Tracer;

// Together fewer than the SDK's queue takes. From its middle on the SDK exports beside the recording thread.
constexpr std::int64_t burst = 1536;
constexpr int warm_up = 256;

struct request {
  std::string user = "user-12345678";
  int items = 3;
  bool hit = true;
};

const request& a_request() {
  static request r;
  cases::hide(r);
  return r;
}

[[gnu::noinline]] void empty(Tracer& tracer) { const trace::Scope current{tracer.StartSpan("child")}; }

[[gnu::noinline]] void three_attributes(Tracer& tracer, const request& r) {
  const trace::Scope current{
      tracer.StartSpan("child", {{"user_id", r.user}, {"item_count", r.items}, {"cache_hit", r.hit}})};
}

[[gnu::noinline]] void three_attributes_and_event(Tracer& tracer, const request& r) {
  const auto span = tracer.StartSpan("child", {{"user_id", r.user}, {"item_count", r.items}, {"cache_hit", r.hit}});
  const trace::Scope current{span};
  span->AddEvent("cache.miss", {{"attempt", r.items}});
}

[[gnu::noinline]] void whole_trace(Tracer& tracer, const request& r) {
  const trace::Scope root{tracer.StartSpan("root")};
  for (int i = 0; i < 10; ++i) three_attributes(tracer, r);
}

template <class Operation>
void children(benchmark::State& state, Operation operation) {
  const auto tracer = peer::tracer();
  {
    const trace::Scope root{tracer->StartSpan("root")};
    cases::measure(
        state, [&] { operation(*tracer); }, 1, warm_up);
  }
  peer::expect_spans(static_cast<std::uint64_t>(state.iterations()) + warm_up + 1);
}

void peer_span_empty(benchmark::State& state) {
  children(state, [](Tracer& t) { empty(t); });
}

void peer_span_3attrs(benchmark::State& state) {
  children(state, [&r = a_request()](Tracer& t) { three_attributes(t, r); });
}

void peer_span_3attrs_event(benchmark::State& state) {
  children(state, [&r = a_request()](Tracer& t) { three_attributes_and_event(t, r); });
}

void peer_trace_11(benchmark::State& state) {
  constexpr int traces_before = 16;
  const auto tracer = peer::tracer();
  cases::measure(
      state, [&t = *tracer, &r = a_request()] { whole_trace(t, r); }, 11, traces_before);
  peer::expect_spans(11 * (static_cast<std::uint64_t>(state.iterations()) + traces_before));
}

void peer_span_unsampled(benchmark::State& state) {
  const auto tracer = peer::tracer();
  const std::uint8_t id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  trace::StartSpanOptions options;
  options.parent =
      trace::SpanContext{trace::TraceId{id}, trace::SpanId{opentelemetry::nostd::span<const std::uint8_t, 8>{id, 8}},
                         trace::TraceFlags{0}, true};
  const trace::Scope root{tracer->StartSpan("root", options)};
  cases::measure(
      state, [&t = *tracer, &r = a_request()] { three_attributes(t, r); }, 1, warm_up);
}

void peer_span_no_sdk(benchmark::State& state) {
  const auto tracer = peer::no_tracer();
  cases::measure(
      state, [&t = *tracer, &r = a_request()] { three_attributes(t, r); }, 1, warm_up);
}

BENCHMARK(peer_span_empty)->Iterations(burst);
BENCHMARK(peer_span_3attrs)->Iterations(burst);
BENCHMARK(peer_span_3attrs_event)->Iterations(burst);
BENCHMARK(peer_trace_11)->Iterations(burst / 11);
BENCHMARK(peer_span_unsampled)->Iterations(burst);
BENCHMARK(peer_span_no_sdk)->Iterations(burst);

}  // namespace
