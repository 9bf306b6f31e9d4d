// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>
#include <otlpkit/testing/trace_snapshot.hpp>

#include <memory>
#include <string_view>
#include <vector>

/// Telemetry into memory, for as long as it lives.
struct recording {
  std::shared_ptr<otlpkit::testing::memory_exporter> memory = std::make_shared<otlpkit::testing::memory_exporter>();
  otlpkit::telemetry telemetry{{.service = "test", .exporters = {memory}}};

  /// What ended since the last call.
  [[nodiscard]] std::vector<otlpkit::testing::span_record> take() {
    telemetry.flush();
    auto spans = memory->spans();
    memory->clear();
    return spans;
  }

  /// Compares what ended since the last call with `expected`, without times and ids; empty when equal.
  [[nodiscard]] std::string diff(std::string_view expected) {
    return otlpkit::testing::snapshot_diff(take(), expected);
  }
};
