// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/metric_reader.hpp>
#include <otlpkit/testing/span_record.hpp>

#include "support/emitted.hpp"
#include "support/metric_points.hpp"
#include "support/span_recording.hpp"

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// Spans and metrics of strategies, without an SDK; what is taken is also told to docs/telemetry_table.
struct recorded {
  support::recording all;
  otlpkit::sdk::metric_reader reader;

  recorded() {
    auto& mode = otlpkit::detail::global_runtime.mode;
    mode.store(mode.load(otlpkit::platform::relaxed) | otlpkit::detail::mode_metrics, otlpkit::platform::release);
  }

  [[nodiscard]] std::vector<otlpkit::testing::span_record> spans() {
    auto out = all.take();
    support::emitted(out);
    return out;
  }
  /// The span of that name, of which there is one.
  [[nodiscard]] static const otlpkit::testing::span_record& only(
      const std::vector<otlpkit::testing::span_record>& spans, std::string_view name) {
    const otlpkit::testing::span_record* found = nullptr;
    for (const auto& s : spans) {
      if (s.name != name) continue;
      if (found != nullptr) throw std::out_of_range{"two spans " + std::string{name}};
      found = &s;
    }
    if (found == nullptr) throw std::out_of_range{"no span " + std::string{name}};
    return *found;
  }
  /// Its events' names, in order.
  [[nodiscard]] static std::string events(const otlpkit::testing::span_record& span) {
    std::string out;
    for (const auto& e : span.events) out.append(out.empty() ? "" : " ").append(e.name);
    return out;
  }

  /// The points of a metric, as `label=value,label=value` (in the order of the labels) and value or count.
  [[nodiscard]] std::map<std::string, double> metric(std::string_view name) {
    const auto scopes = reader.collect(1);
    support::emitted_metrics(scopes);
    const metric_points::metric m = metric_points::named(scopes, name);
    std::map<std::string, double> out;
    for (const auto& p : m.points) {
      std::string labels;
      for (const auto& [key, text] : p.labels) labels.append(labels.empty() ? "" : ",").append(key + "=" + text);
      out[labels] = m.data >= 9 ? static_cast<double>(p.count) : static_cast<double>(p.integer) + p.real;
    }
    return out;
  }
};
