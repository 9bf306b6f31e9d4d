// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include <pthread.h>

/// What a shared object tells about its telemetry.
struct module_report {
  std::uint64_t recorded = 0;
  std::uint64_t delivered = 0;
  std::uint64_t dropped = 0;
  std::uint64_t received = 0;  ///< by its own exporter
  int told = 0;                ///< messages about another copy of otlpkit
};

/// What every module of this test exports, under one name each.
struct module_functions {
  const void* (*runtime)();
  void (*begin)();
  void (*record)(std::size_t spans);
  module_report (*end)();
  /// Starts a thread that records, waits until `*go` is set, records again and ends.
  pthread_t (*start_thread)(const volatile int* go);
};
