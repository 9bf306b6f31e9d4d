// SPDX-License-Identifier: MIT
#pragma once

#include <support/scripted_server.hpp>

#include <otlpkit/trace/span_view.hpp>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <sys/wait.h>

/// Programs that a test runs to see how they end: the test's own executable, told by its arguments what to do.
namespace sdk_test {

struct child_result {
  int status = -1;     ///< as main returned it, -1 when the program did not end by itself
  std::string output;  ///< everything it wrote to standard error
  [[nodiscard]] std::size_t count(std::string_view part) const {
    std::size_t n = 0;
    for (auto at = output.find(part); at != std::string::npos; at = output.find(part, at + 1)) ++n;
    return n;
  }
};

/// Runs this executable as `--child NAME`, with telemetry to `server` and books printed, and waits for its end and that
/// of the processes it forked.
inline child_result run_child(std::string_view name, const otlpkit_test::scripted_server& server) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command =
      "TSAN_OPTIONS=\"$TSAN_OPTIONS:die_after_fork=0\" OTLPKIT_BOOKS=1 OTEL_LOGS_EXPORTER=none "
      "OTEL_METRICS_EXPORTER=none "
      "OTEL_BSP_SCHEDULE_DELAY=3600000 OTEL_EXPORTER_OTLP_ENDPOINT=" +
      server.url("") + " '" + self + "' --child " + std::string{name} + " 2>&1 >/dev/null";
  child_result result;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, n);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) result.status = WEXITSTATUS(status);
  return result;
}

struct received_spans {
  std::size_t all = 0;
  std::set<std::string> ids;
  std::map<std::string, std::size_t> by_name;
  std::map<std::string, std::set<std::string>> instances;  ///< service.instance.id of the processes that sent this name
  std::map<std::string, std::set<std::string>> parents;    ///< by name
  bool decoded = true;
};

inline received_spans spans_of(const otlpkit_test::scripted_server& server) {
  received_spans r;
  for (const auto& request : server.requests()) {
    r.decoded = otlpkit::for_each_span(request.body,
                                       [&](const otlpkit::span_view& span, const otlpkit::span_origin& origin) {
                                         const std::string name{span.name()};
                                         ++r.all;
                                         ++r.by_name[name];
                                         r.ids.emplace(span.span_id());
                                         r.parents[name].emplace(span.parent_id());
                                         for (const otlpkit::field_view attribute : origin.resource.attributes()) {
                                           if (attribute.key == "service.instance.id")
                                             r.instances[name].emplace(attribute.value.as_string());
                                         }
                                       }) &&
                r.decoded;
  }
  return r;
}

}  // namespace sdk_test
