// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/metric_reader.hpp>
#include <otlpkit/testing/trace_snapshot.hpp>

#include "support/emitted.hpp"
#include "support/metric_points.hpp"
#include "support/span_recording.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Spans and metrics as long as it lives, without the SDK around them. What it gives out also goes to the table of what
/// is emitted.
struct recording : support::recording {
  recording() {
    auto& mode = otlpkit::detail::global_runtime.mode;
    mode.store(mode.load(otlpkit::platform::relaxed) | otlpkit::detail::mode_metrics, otlpkit::platform::release);
  }

  [[nodiscard]] std::vector<otlpkit::testing::span_record> take() {
    auto spans = support::recording::take();
    support::emitted(spans);
    return spans;
  }
  [[nodiscard]] std::string diff(std::string_view expected) {
    return otlpkit::testing::snapshot_diff(take(), expected);
  }
  /// A metric as it stands, all counted since the recording began.
  [[nodiscard]] metric_points::metric metric(std::string_view name) {
    const auto scopes = metrics.collect(1);
    support::emitted_metrics(scopes);
    return metric_points::named(scopes, name);
  }

  otlpkit::sdk::metric_reader metrics{};
};
