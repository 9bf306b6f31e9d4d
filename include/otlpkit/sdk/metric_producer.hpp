// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>
#include <otlpkit/core/scope.hpp>
#include <otlpkit/core/wire_reader.hpp>
#include <otlpkit/core/wire_writer.hpp>
#include <otlpkit/metrics/kind.hpp>
#include <otlpkit/sdk/batch.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// A metric a filter is asked about. Valid during the call.
struct filtered_metric {
  std::string_view scope;  ///< name of the instrumentation scope
  std::string_view name;
  std::string_view unit;
  aggregation_kind kind;
};

/// Decides which metrics and data points a collection takes (OpenTelemetry specification, metrics SDK, MetricFilter).
/// Called on the collecting thread; must not block.
class metric_filter {
 public:
  enum class verdict : std::uint8_t {
    accept,
    drop,
    accept_partly,  ///< test_attributes() is asked about each data point
  };
  virtual ~metric_filter() = default;
  [[nodiscard]] virtual verdict test_metric(const filtered_metric&) { return verdict::accept; }
  /// \param attributes of the data point, each a KeyValue with tag and length, as they are exported
  [[nodiscard]] virtual bool test_attributes(const filtered_metric&, std::string_view attributes) {
    static_cast<void>(attributes);
    return true;
  }
};

/// How a metric of another library is called.
struct foreign_metric {
  std::string_view name;
  std::string_view unit{};
  std::string_view description{};
};

/// A distribution another library has kept, since it began.
struct foreign_histogram {
  std::span<const double> bounds;         ///< upper bounds, ascending
  std::span<const std::uint64_t> counts;  ///< one more than the bounds
  double sum = 0;
};

/// Takes the metrics of another library into a collection. Valid during metric_producer::produce().
///
/// Points of one metric must be given one after the other. Totals are whole (cumulative), whatever the reader prefers.
class foreign_metrics {
 public:
  using total = std::variant<std::int64_t, double>;

  foreign_metrics(std::vector<scope_items>& out, metric_filter* filter, std::uint64_t now) noexcept
      : out_{out}, filter_{filter}, now_{now} {}
  foreign_metrics(const foreign_metrics&) = delete;
  foreign_metrics& operator=(const foreign_metrics&) = delete;
  ~foreign_metrics() { finish(); }

  /// What follows belongs to this instrumentation scope.
  void scope(std::string_view name, std::string_view version = {}) {
    finish();
    scope_name_ = name;
    const instrumentation_scope described{scope_name_, version};
    const std::uint16_t place = described.number();
    at_ = out_.size();
    out_.emplace_back().scope = otlpkit::detail::global_scopes.encoded(place);
  }

  /// A total that only goes up. \param start Unix nanoseconds when it was zero; 0: unknown
  void counter(const foreign_metric& m, total value, fields attributes = {}, std::uint64_t start = 0) {
    add_number(m, aggregation_kind::sum, true, value, attributes, start);
  }
  /// A total that goes up and down.
  void up_down_counter(const foreign_metric& m, total value, fields attributes = {}, std::uint64_t start = 0) {
    add_number(m, aggregation_kind::sum, false, value, attributes, start);
  }
  void gauge(const foreign_metric& m, total value, fields attributes = {}) {
    add_number(m, aggregation_kind::last_value, false, value, attributes, 0);
  }
  /// Left out if there is not one count more than bounds.
  void histogram(const foreign_metric& m, const foreign_histogram& h, fields attributes = {}, std::uint64_t start = 0) {
    if (h.counts.size() != h.bounds.size() + 1) return;
    const std::string labels = encode(0x4A, attributes);
    if (!begin(m, aggregation_kind::explicit_buckets, false, labels)) return;
    std::string point = times(start);
    std::uint64_t count = 0;
    for (const std::uint64_t c : h.counts) count += c;
    fixed(point, 0x21, count);
    fixed(point, 0x29, std::bit_cast<std::uint64_t>(h.sum));
    detail::append_field(point, 0x32, 8 * h.counts.size());
    for (const std::uint64_t c : h.counts) raw(point, c);
    if (!h.bounds.empty()) detail::append_field(point, 0x3A, 8 * h.bounds.size());
    for (const double b : h.bounds) raw(point, std::bit_cast<std::uint64_t>(b));
    put(point + labels);
  }

  /// Data points so far.
  [[nodiscard]] std::size_t points() const noexcept { return points_; }

 private:
  void add_number(const foreign_metric& m, aggregation_kind kind, bool monotonic, total value, fields attributes,
                  std::uint64_t start) {
    const std::string labels = encode(0x3A, attributes);
    if (!begin(m, kind, monotonic, labels)) return;
    std::string point = times(start);
    if (const auto* const real = std::get_if<double>(&value)) {
      fixed(point, 0x21, std::bit_cast<std::uint64_t>(*real));
    } else {
      fixed(point, 0x31, static_cast<std::uint64_t>(std::get<std::int64_t>(value)));
    }
    put(point + labels);
  }

  /// Whether the filter takes a point; begins another metric where this is one.
  [[nodiscard]] bool begin(const foreign_metric& m, aggregation_kind kind, bool monotonic, std::string_view labels) {
    if (at_ == none) scope("foreign");
    if (m.name != name_ || kind != kind_ || monotonic != monotonic_ || m.unit != unit_) {
      finish();
      name_ = m.name, unit_ = m.unit, description_ = m.description;
      kind_ = kind, monotonic_ = monotonic;
      verdict_ = filter_ == nullptr ? metric_filter::verdict::accept : filter_->test_metric(described());
    }
    if (verdict_ == metric_filter::verdict::accept) return true;
    return verdict_ == metric_filter::verdict::accept_partly && filter_->test_attributes(described(), labels);
  }
  [[nodiscard]] filtered_metric described() const noexcept { return {scope_name_, name_, unit_, kind_}; }

  void put(const std::string& point) {
    detail::append_field(data_, 0x0A, point.size());
    data_ += point;
    ++points_;
    ++out_[at_].count;
  }

  /// Completes the metric under construction.
  void finish() {
    if (data_.empty()) return;
    if (kind_ != aggregation_kind::last_value) data_ += {0x10, 0x02};  // cumulative
    if (monotonic_) data_ += {0x18, 0x01};
    std::string message;
    text(message, 0x0A, name_);
    text(message, 0x12, description_);
    text(message, 0x1A, unit_);
    const unsigned char tag = kind_ == aggregation_kind::last_value ? 0x2A
                              : kind_ == aggregation_kind::sum      ? 0x3A
                                                                    : 0x4A;
    detail::append_field(message, tag, data_.size());
    message += data_;
    detail::append_field(out_[at_].items, 0x12, message.size());
    out_[at_].items += message;
    data_.clear();
    name_.clear();
  }

  [[nodiscard]] static std::string encode(wire::byte tag, fields attributes) {
    record_buffer out;
    attribute_writer pairs{tag};
    const attribute_limits limits;
    for (const field& f : attributes) pairs.put(out, 0, limits, f);
    return std::string{out.view()};
  }
  [[nodiscard]] std::string times(std::uint64_t start) const {
    std::string point;
    if (start != 0) fixed(point, 0x11, start);
    fixed(point, 0x19, now_);
    return point;
  }
  static void text(std::string& out, unsigned char tag, std::string_view content) {
    if (content.empty()) return;
    record_buffer clean;
    const attribute_limits limits;
    value_writer{clean, limits}.text_field(tag, content);
    out += clean.view();
  }
  static void fixed(std::string& out, unsigned char tag, std::uint64_t v) {
    out.push_back(static_cast<char>(tag));
    raw(out, v);
  }
  static void raw(std::string& out, std::uint64_t v) {
    wire::byte bytes[8];
    wire::put_fixed(bytes, v);
    out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  }

  static constexpr std::size_t none = ~std::size_t{0};

  std::vector<scope_items>& out_;
  metric_filter* filter_;
  std::uint64_t now_;
  std::size_t at_ = none;
  std::size_t points_ = 0;
  std::string scope_name_, name_, unit_, description_, data_;
  aggregation_kind kind_{};
  bool monotonic_ = false;
  metric_filter::verdict verdict_{};
};

/// Metrics that another library has measured, joined to every collection (OpenTelemetry specification, metrics SDK,
/// MetricProducer). Give yours to `telemetry` through `settings::metrics.producers`.
class metric_producer {
 public:
  virtual ~metric_producer() = default;
  /// Called with each collection of each reader, on its thread, one at a time; must not block. What it throws is
  /// reported once, and what it gave until then counts.
  virtual void produce(foreign_metrics& out) = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
