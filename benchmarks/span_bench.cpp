// SPDX-License-Identifier: MIT
// What a span costs the thread that records it. Each site is a function of its own, as in a program.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/otlpkit.hpp>

#include <string>
#include <string_view>

namespace {

struct request {
  std::string user = "user-12345678";
  int items = 3;
  bool hit = true;
};

/// A request that the compiler knows nothing about.
const request& a_request() {
  static request r;
  cases::hide(r);
  return r;
}

[[gnu::noinline]] void empty() { OTLPKIT_SPAN("child"); }

[[gnu::noinline]] void three_attributes(const request& r) {
  OTLPKIT_SPAN("child", {"user_id", r.user}, {"item_count", r.items}, {"cache_hit", r.hit});
}

struct keys {
  std::string user = "user_id";
  std::string items = "item_count";
  std::string hit = "cache_hit";
};

[[gnu::noinline]] void three_runtime_keys(const request& r, const keys& k) {
  OTLPKIT_SPAN("child", {std::string_view{k.user}, r.user}, {std::string_view{k.items}, r.items},
               {std::string_view{k.hit}, r.hit});
}

[[gnu::noinline]] void three_attributes_and_event(const request& r) {
  OTLPKIT_SPAN("child", {"user_id", r.user}, {"item_count", r.items}, {"cache_hit", r.hit});
  OTLPKIT_EVENT("cache.miss", {"attempt", r.items});
}

[[gnu::noinline]] void trace(const request& r) {
  OTLPKIT_SPAN("root");
  for (int i = 0; i < 10; ++i) three_attributes(r);
}

/// Children of one open root, as most spans are.
template <class Operation>
void children(benchmark::State& state, Operation operation) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  cases::measure(state, operation);
}

void span_empty(benchmark::State& state) {
  children(state, [] { empty(); });
}

void span_3attrs(benchmark::State& state) {
  children(state, [&r = a_request()] { three_attributes(r); });
}

void span_3attrs_runtime_keys(benchmark::State& state) {
  static keys k;
  cases::hide(k);
  children(state, [&r = a_request()] { three_runtime_keys(r, k); });
}

void span_3attrs_event(benchmark::State& state) {
  children(state, [&r = a_request()] { three_attributes_and_event(r); });
}

void trace_11(benchmark::State& state) {
  pipeline::on();
  cases::measure(
      state, [&r = a_request()] { trace(r); }, 11, 48);
}

void span_unsampled(benchmark::State& state) {
  pipeline::on();
  otlpkit::span_context caller;
  caller.trace = {{1, 2}};
  caller.span = {3};
  caller.remote = true;  // and its sampled flag is not set
  const otlpkit::span_guard root{"root", {}, {.parent = caller}};
  cases::measure(state, [&r = a_request()] { three_attributes(r); });
}

void span_no_sdk(benchmark::State& state) {
  pipeline::off();
  cases::measure(state, [&r = a_request()] { three_attributes(r); });
}

BENCHMARK(span_empty)->Iterations(cases::burst);
BENCHMARK(span_3attrs)->Iterations(cases::burst);
BENCHMARK(span_3attrs_runtime_keys)->Iterations(cases::burst);
BENCHMARK(span_3attrs_event)->Iterations(cases::burst / 2);
BENCHMARK(trace_11)->Iterations(cases::burst / 11);
BENCHMARK(span_unsampled)->Iterations(cases::burst);
BENCHMARK(span_no_sdk)->Iterations(cases::many);

}  // namespace
