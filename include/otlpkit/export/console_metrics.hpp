// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/export/prometheus_points.hpp>
#include <otlpkit/export/prometheus_values.hpp>
#include <otlpkit/export/terminal.hpp>
#include <otlpkit/export/tree_text.hpp>
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

namespace detail {

/// One metric as a line for each data point: `order.duration s histogram  country=de  count=2 sum=0.75 min=0.25
/// max=0.5`.
class metric_lines {
 public:
  metric_lines(std::string& out, std::string_view scope) : out_{out}, scope_{scope} {}

  /// \param metric opentelemetry/proto/metrics/v1/metrics.proto, message Metric
  void append(std::string_view metric) {
    std::string_view data;
    std::uint32_t kind = 0;
    name_ = unit_ = {};
    for (wire::reader f{metric}; f.next();) {
      if (f.type() != wire::reader::len) continue;
      if (f.number() == 1) name_ = f.bytes();
      if (f.number() == 3) unit_ = f.bytes();
      if (f.number() == 5 || f.number() == 7 || f.number() == 9 || f.number() == 10)
        kind = f.number(), data = f.bytes();
    }
    bool monotonic = false, delta = false;
    for (wire::reader f{data}; f.next();) {
      if (kind != 5 && f.is(2, wire::reader::varint)) delta = f.value() == 1;
      if (kind == 7 && f.is(3, wire::reader::varint)) monotonic = f.as_bool();
    }
    kind_ = kind == 5 ? "gauge" : kind == 7 ? (monotonic ? "counter" : "sum") : "histogram";
    if (delta) kind_ += ", since the last line";
    for (wire::reader f{data}; f.next();) {
      if (!f.is(1, wire::reader::len)) continue;
      if (kind == 9 || kind == 10) {
        histogram(f.bytes(), kind == 9);
      } else {
        number(f.bytes());
      }
    }
  }

 private:
  void number(std::string_view message) {
    const prometheus::detail::number_point p{message};
    begin(p);
    if (p.value.is_integer) {
      out_ += std::to_string(p.value.integer);
    } else {
      prometheus::detail::append_number(out_, p.value.real);
    }
    end();
  }

  void histogram(std::string_view message, bool explicit_bounds) {
    const auto p = explicit_bounds ? prometheus::detail::histogram_point::explicit_bounds(message)
                                   : prometheus::detail::histogram_point::exponential(message);
    begin(p);
    out_ += "count=" + std::to_string(p.count);
    if (p.has_sum) real(" sum=", p.sum);
    const std::uint32_t min = explicit_bounds ? 11 : 12;
    for (wire::reader f{message}; f.next();) {
      if (f.is(min, wire::reader::i64)) real(" min=", f.as_double());
      if (f.is(min + 1, wire::reader::i64)) real(" max=", f.as_double());
    }
    end();
  }

  void real(std::string_view what, double v) {
    out_ += what;
    prometheus::detail::append_number(out_, v);
  }
  void begin(const prometheus::detail::point& p) {
    append_text(out_, name_);
    if (!unit_.empty()) {
      out_ += ' ';
      append_text(out_, unit_);
    }
    out_.append(" (").append(kind_).append(")");
    std::string_view separator = "  ";
    for (const field_view& field : p.attributes) {
      out_ += separator;
      append_text(out_, field.key);
      out_ += '=';
      append_value(out_, field.value, 0);
      separator = " ";
    }
    out_ += "  ";
  }
  void end() {
    if (!scope_.empty()) {
      out_ += " [";
      append_text(out_, scope_);
      out_ += ']';
    }
    out_ += '\n';
  }

  std::string& out_;
  std::string_view scope_, name_, unit_;
  std::string kind_;
};

}  // namespace detail

/// What console_metrics prints to.
struct console_metrics_options {
  /// Takes the lines of one collection; false when they could not be written. Empty: `stream`.
  std::function<bool(std::string_view)> sink{};
  std::FILE* stream = stderr;
};

/// Prints each data point as a line, on standard error unless told otherwise. Points that could not be written are
/// dropped as `failed`. Used from the pipeline's thread only.
class console_metrics final : public sdk::exporter {
 public:
  explicit console_metrics(console_metrics_options options = {}) : options_{std::move(options)} {}

  [[nodiscard]] std::string_view name() const noexcept override { return "console_metrics"; }
  [[nodiscard]] bool accepts(sdk::signal s) const noexcept override { return s == sdk::signal::metrics; }

  void send(std::shared_ptr<const sdk::batch> b, completion done) override {
    std::string lines;
    for (const sdk::scope_items& scope : b->scopes()) {
      detail::metric_lines metrics{lines, scope_view{scope.scope}.name()};
      for (wire::reader f{scope.items}; f.next();) {
        if (f.is(2, wire::reader::len)) metrics.append(f.bytes());
      }
    }
    bool written = false;
    try {
      written = options_.sink ? options_.sink(lines) : write_patiently(options_.stream, lines);
    } catch (...) {
      // A sink of the user's may throw; what it was given is lost either way.
    }
    if (!written) report(diagnostic_level::warning, "metrics could not be written; they count as dropped (failed)");
    done(written ? sdk::export_result{} : sdk::export_result{b->items(), sdk::drop_reason::failed});
  }

 private:
  console_metrics_options options_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
