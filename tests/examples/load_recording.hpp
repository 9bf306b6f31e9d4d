// SPDX-License-Identifier: MIT
#pragma once

#include "support/metric_points.hpp"

#include <otlpkit/db/errors.hpp>
#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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
    find_failures();
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

  /// How many requests failed: spans with status ERROR that somebody waited for from outside (they have no parent
  /// here), or nobody did (detached work, messages).
  [[nodiscard]] std::size_t failures() const { return failures_.size(); }

  /// The failures that do not have exactly one root cause, with those they have, a line for each. A root cause is a
  /// span with status ERROR that no child with status ERROR explains, and that says what went wrong, itself or above
  /// it: that an exception passed by is no cause. Attempts that a retry, or a wait for a lock, has followed by another
  /// one explain nothing, nor does an error below a span without one, which has dealt with it. A database that is
  /// gone is one cause, however often a request meets that.
  [[nodiscard]] std::string unclear() const {
    std::string lines;
    for (const auto& [failed, causes] : failures_) {
      if (causes.size() == 1) continue;
      lines += failed->name + " by";
      for (const auto* cause : causes) lines += " " + cause->name + " (" + cause->status_message + ")";
      lines += causes.empty() ? " nothing\n" : "\n";
    }
    return lines;
  }

 private:
  using span_list = std::vector<const otlpkit::testing::span_record*>;

  template <class F>
  void each(const std::string& metric, F&& fn) const {
    const auto found = metrics_.find(metric);
    if (found == metrics_.end()) return;
    for (const auto& [labels, p] : found->second) fn(labels, p);
  }

  void find_failures() {
    std::unordered_set<std::string_view> ids;
    std::unordered_map<std::string_view, span_list> children;
    for (const auto& s : spans_) {
      ids.insert(s.span_id);
      if (!is_request(s)) children[s.parent_id].push_back(&s);
    }
    for (const auto& s : spans_) {
      if (!s.is_error() || (!is_request(s) && ids.contains(s.parent_id))) continue;
      failures_.emplace_back(&s, span_list{});
      std::vector<failed_span> left{{&s, false}};
      while (!left.empty()) {
        auto [next, told] = left.back();
        left.pop_back();
        told = told || next->event("exception") != nullptr;
        const span_list& all = children[next->span_id];
        span_list below = all;
        std::erase_if(below, [&, in = next](const auto* one) {
          return !one->is_error() ||
                 (in->name.starts_with("lock.acquire") ? was_repeated(*one, all) : was_followed(*one));
        });
        for (const auto* one : below) left.push_back({one, told});
        if (below.empty() && (told || next->status_message != "left by an exception"))
          failures_.back().second.push_back(next);
      }
      bool known = false;
      std::erase_if(failures_.back().second,
                    [&known](const auto* cause) { return is_outage(*cause) && std::exchange(known, true); });
    }
  }
  struct failed_span {
    const otlpkit::testing::span_record* span;
    bool told;  ///< what the exception was, above it
  };
  /// Whether it is an attempt, and a retry made another one.
  static bool was_followed(const otlpkit::testing::span_record& attempt) {
    const auto* const handled = attempt.attributes.find("otlpkit.retry.handled");
    return handled != nullptr && *handled == true && !attempt.attributes.contains("otlpkit.retry.stopped_by");
  }
  /// Whether the same was done again when it had failed: who waits for a lock asks its store until there is an answer.
  static bool was_repeated(const otlpkit::testing::span_record& failed, const span_list& siblings) {
    return std::any_of(siblings.begin(), siblings.end(), [&failed](const auto* other) {
      return other->name == failed.name && other->start >= failed.end;
    });
  }
  static bool is_outage(const otlpkit::testing::span_record& s) {
    const auto* const code = s.attributes.find("db.response.status_code");
    return code != nullptr && is_connection_failure(otlpkit::db::error{code->as_string(), {}});
  }
  static bool is_request(const otlpkit::testing::span_record& s) {
    constexpr int consumer = 5;
    return s.attributes.contains("otlpkit.detached") || s.kind == consumer;
  }

  std::shared_ptr<otlpkit::testing::memory_exporter> memory_ = std::make_shared<otlpkit::testing::memory_exporter>();
  otlpkit::telemetry telemetry_{{.service = "load",
                                 .traces = {.schedule_delay = std::chrono::milliseconds{20},
                                            .max_queue_size = 1'000'000,
                                            .max_export_batch_size = 10'000},
                                 .exporters = {memory_},
                                 .max_queue_bytes = std::size_t{512} << 20}};
  std::vector<otlpkit::testing::span_record> spans_;
  std::vector<std::pair<const otlpkit::testing::span_record*, span_list>> failures_;  ///< and their root causes
  std::map<std::string, std::map<std::map<std::string, std::string>, metric_points::point>> metrics_;
};
