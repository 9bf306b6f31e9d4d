// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/value_view.hpp>
#include <otlpkit/core/wire_reader.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace shop {

/// Keeps the last value of every series that was exported, to be printed at the end of a scenario.
class metric_lines final : public otlpkit::sdk::exporter {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "metric_lines"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override {
    return s == otlpkit::sdk::signal::metrics;
  }

  void send(std::shared_ptr<const otlpkit::sdk::batch> b, completion done) override {
    {
      const std::lock_guard lock{mutex_};
      for (const auto& scope : b->scopes()) {
        for (reader metric{scope.items}; metric.next();) {
          if (metric.is(2, reader::len)) add(metric.bytes());
        }
      }
    }
    done({});
  }

  /// "product.views{source=cache} 2", a line for each series and a few lines for metrics with many. What the
  /// decorators measure by themselves (db.client, http.client, otlpkit.cache and so on) is only counted.
  [[nodiscard]] std::string text() const {
    constexpr std::size_t most = 6;
    const std::lock_guard lock{mutex_};
    std::string out;
    std::map<std::string, std::size_t> others;
    for (const auto& [metric, series] : metrics_) {
      if (metric.starts_with("db.") || metric.starts_with("http.") || metric.starts_with("messaging.") ||
          metric.starts_with("otlpkit.")) {
        others[metric.substr(0, metric.find('.', metric.find('.') + 1))] += series.size();
        continue;
      }
      std::size_t n = 0;
      for (const auto& [labels, last] : series) {
        if (++n > most && series.size() > most + 1) break;
        out += "  " + metric + labels + " " + last + "\n";
      }
      if (series.size() > most + 1) out += "  " + metric + " ... " + std::to_string(series.size()) + " series in all\n";
    }
    std::string counted;
    for (const auto& [group, series] : others) counted += ", " + std::to_string(series) + " of " + group + ".*";
    return counted.empty() ? out : out + "  and the decorators' own: " + counted.substr(2) + "\n";
  }

  /// How many series of a metric were exported.
  [[nodiscard]] std::size_t series(const std::string& metric) const {
    const std::lock_guard lock{mutex_};
    const auto found = metrics_.find(metric);
    return found == metrics_.end() ? 0 : found->second.size();
  }

 private:
  using reader = otlpkit::wire::reader;

  void add(std::string_view metric) {
    std::string name;
    for (reader field{metric}; field.next();) {
      if (field.is(1, reader::len)) name = field.bytes();
    }
    if (name.starts_with("otel.")) return;  // the SDK's own
    for (reader field{metric}; field.next();) {
      const bool number = field.is(5, reader::len) || field.is(7, reader::len);  // gauge, sum
      const bool histogram = field.is(9, reader::len);
      if (!number && !histogram) continue;
      for (reader points{field.bytes()}; points.next();) {
        if (!points.is(1, reader::len)) continue;
        auto [labels, last] = number ? number_point(points.bytes()) : histogram_point(points.bytes());
        metrics_[name][std::move(labels)] = std::move(last);
      }
    }
  }

  static std::pair<std::string, std::string> number_point(std::string_view point) {
    std::pair<std::string, std::string> out;
    for (reader field{point}; field.next();) {
      if (field.is(7, reader::len)) label(out.first, field.bytes());
      if (field.is(4, reader::i64)) out.second = decimal(field.as_double());
      if (field.is(6, reader::i64)) out.second = std::to_string(field.as_int());
    }
    if (!out.first.empty()) out.first += '}';
    return out;
  }

  static std::pair<std::string, std::string> histogram_point(std::string_view point) {
    std::pair<std::string, std::string> out;
    std::uint64_t count = 0;
    double sum = 0;
    for (reader field{point}; field.next();) {
      if (field.is(9, reader::len)) label(out.first, field.bytes());
      if (field.is(4, reader::i64)) count = field.value();
      if (field.is(5, reader::i64)) sum = field.as_double();
    }
    if (!out.first.empty()) out.first += '}';
    out.second = std::to_string(count) + " values, sum " + decimal(sum);
    return out;
  }

  static void label(std::string& out, std::string_view encoded) {
    const otlpkit::field_view field{encoded};
    out += out.empty() ? "{" : ", ";
    out += field.key;
    out += '=';
    using type = otlpkit::value_view::type;
    switch (field.value.kind()) {
      case type::string: out += field.value.as_string(); break;
      case type::boolean: out += field.value.as_bool() ? "true" : "false"; break;
      case type::integer: out += std::to_string(field.value.as_int()); break;
      case type::real: out += decimal(field.value.as_double()); break;
      default: out += "..."; break;
    }
  }

  static std::string decimal(double v) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", v);
    return text;
  }

  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, std::string>> metrics_;
};

}  // namespace shop
