// SPDX-License-Identifier: MIT
#pragma once

#include "allocation_counter.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>

/// What the sources of the cases share. A case is registered under its name with a fixed number of iterations, a
/// repetition of a few hundred microseconds, so that among many repetitions some are disturbed by nobody.
namespace cases {

/// Iterations that recording cases make in one repetition: their spans fit into the memory that is kept for reuse.
inline constexpr std::int64_t burst = 8192;
/// For what is so short that reading the time must not count.
inline constexpr std::int64_t many = 200'000;

/// How many allocations the timed operations made.
inline void note_allocations(benchmark::State& state, std::uint64_t count, int parts = 1) {
  state.counters["parts"] = benchmark::Counter(parts, benchmark::Counter::kAvgThreads);
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(count) / parts, benchmark::Counter::kAvgIterations);
}

/// Does `operation` in Google Benchmark's loop, after some that are not timed, and counts allocations.
/// \param parts how many of what the case is named for one `operation` does
template <class Operation>
void measure(benchmark::State& state, Operation operation, int parts = 1, int warm_up = 512) {
  for (int i = 0; i < warm_up; ++i) operation();
  const std::uint64_t before = allocations::of_this_thread();
  for ([[maybe_unused]] auto _ : state) operation();
  note_allocations(state, allocations::of_this_thread() - before, parts);
}

/// Keeps the compiler from knowing a value.
template <class T>
void hide(T& value) noexcept {
  asm volatile("" : "+m"(value) : : "memory");
}

}  // namespace cases
