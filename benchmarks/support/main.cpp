// SPDX-License-Identifier: MIT
#include "allocation_counter.hpp"
#include "pipeline.hpp"

#include <benchmark/benchmark.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (!allocations::are_counted()) {
    std::fputs("allocations are not counted: a zero would mean nothing\n", stderr);
    return 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  const pipeline::totals totals = pipeline::close_books();
  std::fprintf(stderr, "records %llu, delivered %llu, dropped %llu\n", static_cast<unsigned long long>(totals.recorded),
               static_cast<unsigned long long>(totals.delivered), static_cast<unsigned long long>(totals.dropped));
  if (totals.dropped != 0 || totals.recorded != totals.delivered) {
    std::fputs("records were lost: what was measured is not what it costs\n", stderr);
    return 1;
  }
  return 0;
}
