// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#ifdef OTLPKIT_DISABLE

namespace otlpkit::inline OTLPKIT_ABI {
/// Process metrics where OTLPKIT_DISABLE is defined: none.
class [[nodiscard]] process_metrics {
 public:
  process_metrics() noexcept {}
  process_metrics(const process_metrics&) = delete;
  process_metrics& operator=(const process_metrics&) = delete;
  ~process_metrics() {}
};
}  // namespace otlpkit::inline OTLPKIT_ABI

#else

#include <otlpkit/core/platform_host.hpp>
#include <otlpkit/metrics/observable.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// Measures the process it lives in, under the names of the semantic conventions, as long as it lives:
///
///     otlpkit::telemetry telemetry{{.service = "checkout"}};
///     otlpkit::process_metrics process;
///
/// process.cpu.time (by cpu.mode), process.memory.usage and .virtual, process.thread.count and
/// process.unix.file_descriptor.count, as far as the system tells them. Asked only as metrics are collected, on
/// telemetry's thread. One per process is enough; the order of the two objects does not matter.
class [[nodiscard]] process_metrics {
 public:
  process_metrics() = default;
  process_metrics(const process_metrics&) = delete;
  process_metrics& operator=(const process_metrics&) = delete;

 private:
  void measure(observer& out) const {
    const platform_host::process_usage u = platform_host::usage();
    if (u.user_seconds) out.observe(cpu_, *u.user_seconds, {{"cpu.mode", "user"}});
    if (u.system_seconds) out.observe(cpu_, *u.system_seconds, {{"cpu.mode", "system"}});
    if (u.resident_bytes) out.observe(memory_, *u.resident_bytes);
    if (u.virtual_bytes) out.observe(virtual_memory_, *u.virtual_bytes);
    if (u.threads) out.observe(threads_, *u.threads);
    if (u.file_descriptors) out.observe(files_, *u.file_descriptors);
  }

  instrumentation_scope scope_{"otlpkit.process", OTLPKIT_VERSION};
  observable_counter<double> cpu_{"process.cpu.time",
                                  {.unit = "s", .description = "CPU time used by all threads.", .scope = &scope_}};
  observable_up_down_counter<std::int64_t> memory_{
      "process.memory.usage", {.unit = "By", .description = "Physical memory in use.", .scope = &scope_}};
  observable_up_down_counter<std::int64_t> virtual_memory_{
      "process.memory.virtual", {.unit = "By", .description = "Address space in use.", .scope = &scope_}};
  observable_up_down_counter<std::int64_t> threads_{"process.thread.count",
                                                    {.unit = "{thread}", .description = "Threads.", .scope = &scope_}};
  observable_up_down_counter<std::int64_t> files_{
      "process.unix.file_descriptor.count",
      {.unit = "{file_descriptor}", .description = "Open file descriptors.", .scope = &scope_}};
  metric_callback callback_{[this](observer& out) { measure(out); }};  // last: it uses the others
};

}  // namespace otlpkit::inline OTLPKIT_ABI

#endif
