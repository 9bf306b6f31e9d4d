// SPDX-License-Identifier: MIT
#pragma once

#include "allocation_counter.hpp"
#include "sink_process.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>

/// What the whole process spent on the spans it recorded.
struct export_cost {
  int spans = 0;
  double cpu_ns = 0;  ///< of all threads, user and system
  std::uint64_t allocations = 0;
  long peak_rss_kib = 0;

  [[nodiscard]] static export_cost now() {
    rusage u;
    ::getrusage(RUSAGE_SELF, &u);
    return {.cpu_ns = 1e9 * static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                      1e3 * static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec),
            .allocations = allocations::of_all_threads(),
            .peak_rss_kib = u.ru_maxrss};
  }
};

/// Records `spans` spans with what `record` does, in bursts that the queue has room for, until all were sent.
/// \param flush called after each burst: returns when everything has been sent
template <class Record, class Flush>
[[nodiscard]] export_cost run_export(int spans, int burst, Record record, Flush flush) {
  const export_cost before = export_cost::now();
  for (int done = 0; done < spans;) {
    const int end = std::min(done + burst, spans);
    for (; done < end; ++done) record();
    flush();
  }
  export_cost cost = export_cost::now();
  cost.spans = spans;
  cost.cpu_ns -= before.cpu_ns;
  cost.allocations -= before.allocations;
  return cost;
}

/// Prints one line of JSON, when all senders have ended.
/// \param others spans besides the measured ones
/// \return the program's exit status: not 0 when spans are missing
inline int report_export(const export_cost& cost, sink_process& sink, int others) {
  const sink_process::totals got = sink.end();
  const double spans = cost.spans;
  std::printf(
      "{\"cpu_ns\": %.2f, \"allocations\": %.5f, \"bytes\": %.2f, \"peak_rss_kib\": %ld, \"requests\": %llu, "
      "\"spans\": %d}\n",
      cost.cpu_ns / spans, static_cast<double>(cost.allocations) / spans, static_cast<double>(got.bytes) / spans,
      cost.peak_rss_kib, got.requests, cost.spans);
  if (got.spans == static_cast<unsigned long long>(cost.spans + others)) return 0;
  std::fprintf(stderr, "%llu spans arrived, expected %d\n", got.spans, cost.spans + others);
  return 1;
}
