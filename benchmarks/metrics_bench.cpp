// SPDX-License-Identifier: MIT
// What a measurement costs. The reader collects meanwhile, as in a program, only seldom: at each flush of the pipeline.
#include "support/case.hpp"
#include "support/pipeline.hpp"
#include "support/placement.hpp"

#include <otlpkit/otlpkit.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

/// Label values that the compiler knows nothing about, and that are no literals.
struct label_values {
  std::array<std::string, 8> values = {"get", "set", "erase", "list", "login", "logout", "order", "refund"};

  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept { return values[i % values.size()]; }
};

const label_values& some_labels() {
  static label_values v;
  cases::hide(v);
  return v;
}

/// Measured values as durations are: over five orders of magnitude, in no order.
class durations {
 public:
  durations() noexcept {
    double v = 0.00013;
    for (double& each : values_) {
      each = v;
      v *= 1.31;
      if (v > 12) v /= 91'000;
    }
  }
  [[nodiscard]] double next() noexcept { return values_[at_++ % values_.size()]; }

 private:
  std::array<double, 512> values_{};
  std::size_t at_ = 0;
};

/// One measurement after the other, each of which the compiler must make. In the loop itself, as a call of a function
/// takes as long as a measurement.
template <class Measure>
void measure(benchmark::State& state, Measure one) {
  cases::measure(
      state, [&]() __attribute__((always_inline)) {
        one();
        benchmark::ClobberMemory();
      });
}

/// What no counter can go below: the next one waits for what this one stores.
void increment(benchmark::State& state) {
  static std::atomic<std::int64_t> place{0};
  measure(
      state, []() __attribute__((always_inline)) {
        place.store(place.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      });
}

void counter(benchmark::State& state) {
  pipeline::on();
  measure(
      state, []() __attribute__((always_inline)) { OTLPKIT_COUNTER("bench.counter").add(); });
}

void counter_2labels(benchmark::State& state) {
  pipeline::on();
  const label_values& v = some_labels();
  measure(
      state, [&]() __attribute__((always_inline)) {
        OTLPKIT_COUNTER("bench.counter_2labels", {"operation", v[1]}, {"outcome", v[2]}).add();
      });
}

void counter_2labels_64series(benchmark::State& state) {
  pipeline::on();
  const label_values& v = some_labels();
  std::size_t i = 0;
  measure(
      state, [&]() __attribute__((always_inline)) {
        OTLPKIT_COUNTER("bench.counter_64series", {"operation", v[i]}, {"outcome", v[i / 8]}).add();
        ++i;
      });
}

const otlpkit::counter<std::int64_t> lookups{"bench.counter_bound"};

void counter_bound(benchmark::State& state) {
  pipeline::on();
  const label_values& v = some_labels();
  const auto bound = lookups.bind({{"operation", v[1]}, {"outcome", v[2]}});
  measure(
      state, [&]() __attribute__((always_inline)) { bound.add(); });
}

void counter_2threads(benchmark::State& state) {
  const placement::on_any_core both;
  measure(
      state, []() __attribute__((always_inline)) { OTLPKIT_COUNTER("bench.counter_2threads").add(); });
}

const otlpkit::histogram latency{"bench.latency", {.unit = "s"}};

void histogram_explicit(benchmark::State& state) {
  pipeline::on();
  durations d;
  measure(
      state, [&]() __attribute__((always_inline)) { latency.record(d.next()); });
}

const otlpkit::histogram exponential_latency{"bench.latency_exponential", {.unit = "s"}};  // pipeline.cpp has the view

void histogram_exponential(benchmark::State& state) {
  pipeline::on();
  durations d;
  measure(
      state, [&]() __attribute__((always_inline)) { exponential_latency.record(d.next()); });
}

void histogram_2labels(benchmark::State& state) {
  pipeline::on();
  const label_values& v = some_labels();
  durations d;
  measure(
      state, [&]() __attribute__((always_inline)) {
        latency.record(d.next(), {{"operation", v[1]}, {"outcome", v[2]}});
      });
}

void set_up(const benchmark::State&) { pipeline::on(); }

BENCHMARK(increment)->Iterations(cases::many);
BENCHMARK(counter)->Iterations(cases::many);
BENCHMARK(counter_2labels)->Iterations(cases::burst);
BENCHMARK(counter_2labels_64series)->Iterations(cases::burst);
BENCHMARK(counter_bound)->Iterations(cases::many);
BENCHMARK(counter_2threads)->Setup(set_up)->Iterations(cases::many)->Threads(2);
BENCHMARK(histogram_explicit)->Iterations(cases::burst);
BENCHMARK(histogram_exponential)->Iterations(cases::burst);
BENCHMARK(histogram_2labels)->Iterations(cases::burst);

}  // namespace
