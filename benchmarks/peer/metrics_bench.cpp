// SPDX-License-Identifier: MIT
// The cases of ../metrics_bench.cpp on the reference SDK.
#include "../support/case.hpp"
#include "sdk.hpp"

#include <opentelemetry/context/context.h>
#include <opentelemetry/metrics/sync_instruments.h>

#include <array>
#include <cstddef>
#include <string>

namespace {

constexpr std::int64_t burst = 4096;

const std::array<std::string, 8>& some_labels() {
  static std::array<std::string, 8> v = {"get", "set", "erase", "list", "login", "logout", "order", "refund"};
  cases::hide(v);
  return v;
}

double next_duration() {
  static double v = 0.00013;
  v *= 1.31;
  if (v > 12) v /= 91'000;
  return v;
}

auto a_counter(const char* name) { return peer::meter()->CreateUInt64Counter(name); }

void peer_counter(benchmark::State& state) {
  static const auto counter = a_counter("bench.counter");
  cases::measure(state, [] { counter->Add(1); });
}

void peer_counter_2labels(benchmark::State& state) {
  static const auto counter = a_counter("bench.counter_2labels");
  const auto& v = some_labels();
  cases::measure(state, [&] { counter->Add(1, {{"operation", v[1]}, {"outcome", v[2]}}); });
}

void peer_counter_2labels_64series(benchmark::State& state) {
  static const auto counter = a_counter("bench.counter_64series");
  const auto& v = some_labels();
  std::size_t i = 0;
  cases::measure(state, [&] {
    counter->Add(1, {{"operation", v[i % 8]}, {"outcome", v[i / 8 % 8]}});
    ++i;
  });
}

auto a_histogram() { return peer::meter()->CreateDoubleHistogram("bench.latency", "", "s"); }

void peer_histogram_explicit(benchmark::State& state) {
  static const auto latency = a_histogram();
  cases::measure(state, [] { latency->Record(next_duration(), opentelemetry::context::Context{}); });
}

void peer_histogram_2labels(benchmark::State& state) {
  static const auto latency = a_histogram();
  const auto& v = some_labels();
  cases::measure(state, [&] {
    latency->Record(next_duration(), {{"operation", v[1]}, {"outcome", v[2]}}, opentelemetry::context::Context{});
  });
}

BENCHMARK(peer_counter)->Iterations(burst);
BENCHMARK(peer_counter_2labels)->Iterations(burst);
BENCHMARK(peer_counter_2labels_64series)->Iterations(burst);
BENCHMARK(peer_histogram_explicit)->Iterations(burst);
BENCHMARK(peer_histogram_2labels)->Iterations(burst);

}  // namespace
