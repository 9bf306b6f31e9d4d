// SPDX-License-Identifier: MIT
#pragma once

#include "support/metric_points.hpp"

#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

/// What a load run told of itself: telemetry into memory, to be compared with what is in the database.
class load_recording {
 public:
  /// Ends telemetry and reads what was recorded. Throws if any of it was lost: then nothing could be compared.
  void finish() {
    telemetry_.shutdown();
    const auto books = telemetry_.books();
    if (books.spans().dropped() + books.metric_points().dropped() > 0) throw std::runtime_error{to_string(books)};
    const auto batches = memory_->batches(otlpkit::sdk::signal::metrics);
    for (const auto& b : batches) {  // cumulative: the last value of a series counts
      for (const metric_points::metric& m : metric_points::decode(b->scopes())) {
        for (const metric_points::point& p : m.points) metrics_[m.name][p.labels] = p;
      }
    }
    spans_ = memory_->spans();
  }

  /// The sum of a counter's series, of those with this label if one is given.
  [[nodiscard]] std::int64_t sum(const std::string& metric, const std::string& label = {},
                                 const std::string& content = {}) const {
    std::int64_t total = 0;
    each(metric, [&](const auto& labels, const metric_points::point& p) {
      const auto found = labels.find(label);
      if (label.empty() || (found != labels.end() && found->second == content)) total += p.integer;
    });
    return total;
  }
  /// How many values a histogram has, and their sum.
  [[nodiscard]] std::pair<std::uint64_t, double> values(const std::string& metric) const {
    std::pair<std::uint64_t, double> out;
    each(metric, [&](const auto&, const metric_points::point& p) {
      out.first += p.count;
      out.second += p.sum;
    });
    return out;
  }

  [[nodiscard]] const std::vector<otlpkit::testing::span_record>& spans() const noexcept { return spans_; }
  [[nodiscard]] std::size_t spans(std::string_view name, bool failed_only = false) const {
    std::size_t n = 0;
    for (const auto& s : spans_) n += s.name == name && (!failed_only || s.is_error()) ? 1 : 0;
    return n;
  }

  /// Traces by how many root causes of failure they have: {0: 900, 1: 100} when all is well. A root cause is a span
  /// with status ERROR whose children have none, unless somebody dealt with it: the caller went on and has no error, or
  /// did the same again.
  [[nodiscard]] std::map<std::size_t, std::size_t> root_causes() const {
    std::unordered_map<std::string, std::vector<const otlpkit::testing::span_record*>> traces;
    for (const auto& s : spans_) traces[s.trace_id].push_back(&s);
    std::map<std::size_t, std::size_t> out;
    for (const auto& [id, members] : traces) ++out[root_causes_of(members)];
    return out;
  }
  /// The traces with a failure.
  [[nodiscard]] std::size_t failed_traces() const {
    std::size_t n = 0;
    for (const auto& [causes, traces] : root_causes()) n += causes > 0 ? traces : 0;
    return n;
  }

 private:
  using span_list = std::vector<const otlpkit::testing::span_record*>;

  template <class F>
  void each(const std::string& metric, F&& fn) const {
    const auto found = metrics_.find(metric);
    if (found == metrics_.end()) return;
    for (const auto& [labels, p] : found->second) fn(labels, p);
  }

  static std::size_t root_causes_of(const span_list& trace) {
    std::unordered_map<std::string_view, const otlpkit::testing::span_record*> by_id;
    for (const auto* s : trace) by_id[s->span_id] = s;
    const auto parent = [&](const otlpkit::testing::span_record* s) {
      const auto found = by_id.find(s->parent_id);
      return found == by_id.end() ? nullptr : found->second;
    };
    const auto followed = [&](const otlpkit::testing::span_record* s) {
      return std::any_of(trace.begin(), trace.end(), [s](const auto* other) {
        return other->parent_id == s->parent_id && other->name == s->name && other->start > s->start;
      });
    };
    const auto dealt_with = [&](const otlpkit::testing::span_record* s) {
      for (const auto* above = s; above != nullptr; above = parent(above)) {
        const auto* const caller = parent(above);
        if (caller == nullptr || above->attributes.contains("otlpkit.detached")) return false;
        if (!caller->is_error() || followed(above)) return true;
      }
      return false;
    };
    std::set<std::string_view> causes;
    std::set<std::string_view> explained;  // spans with a failed child
    for (const auto* s : trace) {
      if (!s->is_error() || dealt_with(s)) continue;
      causes.insert(s->span_id);
      explained.insert(s->parent_id);
    }
    std::size_t n = 0;
    for (const std::string_view id : causes) n += explained.contains(id) ? 0 : 1;
    return n;
  }

  std::shared_ptr<otlpkit::testing::memory_exporter> memory_ = std::make_shared<otlpkit::testing::memory_exporter>();
  otlpkit::telemetry telemetry_{{.service = "load",
                                 .traces = {.schedule_delay = std::chrono::milliseconds{20},
                                            .max_queue_size = 1'000'000,
                                            .max_export_batch_size = 10'000},
                                 .exporters = {memory_},
                                 .max_queue_bytes = std::size_t{512} << 20}};
  std::vector<otlpkit::testing::span_record> spans_;
  std::map<std::string, std::map<std::map<std::string, std::string>, metric_points::point>> metrics_;
};
