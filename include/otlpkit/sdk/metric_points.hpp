// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/wire_writer.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/metric_totals.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// What goes with every data point.
struct point_frame {
  std::string_view labels;  ///< encoded as the data point's attributes
  unix_ns start = 0;
  unix_ns now = 0;
  const std::vector<kept_exemplar>* exemplars = nullptr;
};

/// One Metric message under construction (opentelemetry/proto/metrics/v1/metrics.proto).
class metric_message {
 public:
  void begin(const otlpkit::detail::stream& s, bool delta) {
    stream_ = &s;
    delta_ = delta;
    points_ = 0;
    data_.clear();
  }

  /// Adds a number: an integer, or a double's bits.
  void add_number(const point_frame& f, std::uint64_t value) {
    begin_point(f, stream_->aggregation != aggregation_kind::last_value);
    fixed(point_, stream_->floating ? 0x21 : 0x31, value);
    exemplars(f, 0x2A);
    point_ += f.labels;
    end_point();
  }

  void add_histogram(const point_frame& f, const series_total& t, const otlpkit::detail::extremes& e) {
    begin_point(f, true);
    std::uint64_t count = 0;
    for (const std::uint64_t c : t.counts) count += c;
    fixed(point_, 0x21, count);
    if (sums()) real(0x29, t.sum);
    sdk::detail::append_field(point_, 0x32, 8 * t.counts.size());
    for (const std::uint64_t c : t.counts) number(point_, c);
    if (stream_->bounds.size() != 0) {
      sdk::detail::append_field(point_, 0x3A, 8 * stream_->bounds.size());
      for (std::size_t i = 0; i < stream_->bounds.size(); ++i)
        number(point_, std::bit_cast<std::uint64_t>(stream_->bounds[i]));
    }
    exemplars(f, 0x42);
    point_ += f.labels;
    if (stream_->extremes && count != 0 && e.min <= e.max) {
      real(0x59, e.min);
      real(0x61, e.max);
    }
    end_point();
  }

  void add_exponential(const point_frame& f, const otlpkit::detail::exponential_buckets& b) {
    begin_point(f, true);
    std::uint64_t count = b.zeros();
    std::string ranges;
    const bool above = range(ranges, 0x42, b, false, count);
    const bool below = range(ranges, 0x4A, b, true, count);
    fixed(point_, 0x21, count);
    if (sums()) real(0x29, b.sum());
    signed_varint(point_, 0x30, above || below ? b.scale() : b.max_scale());
    if (b.zeros() != 0) fixed(point_, 0x39, b.zeros());
    point_ += ranges;
    exemplars(f, 0x5A);
    point_ += f.labels;
    if (stream_->extremes && b.min() <= b.max()) {
      real(0x61, b.min());
      real(0x69, b.max());
    }
    end_point();
  }

  [[nodiscard]] std::size_t points() const noexcept { return points_; }

  /// Appends the message, framed for ScopeMetrics.metrics.
  void append_to(std::string& out) {
    const aggregation_kind a = stream_->aggregation;
    const char temporality[2] = {0x10, static_cast<char>(delta_ ? 1 : 2)};
    if (a != aggregation_kind::last_value) data_.append(temporality, 2);
    if (a == aggregation_kind::sum && stream_->monotonic) data_ += {0x18, 0x01};
    message_.clear();
    {
      platform::lock_guard lock{otlpkit::detail::global_metrics.guard};
      text(0x0A, stream_->name_view());
      text(0x12, stream_->description_view());
    }
    text(0x1A, stream_->entry->unit.view());
    const unsigned char tag = a == aggregation_kind::last_value            ? 0x2A
                              : a == aggregation_kind::explicit_buckets    ? 0x4A
                              : a == aggregation_kind::exponential_buckets ? 0x52
                                                                           : 0x3A;
    field(message_, tag, data_);
    field(out, 0x12, message_);
  }

 private:
  static void field(std::string& out, unsigned char tag, std::string_view content) {
    sdk::detail::append_field(out, tag, content.size());
    out += content;
  }
  void text(unsigned char tag, std::string_view content) {
    if (content.empty()) return;
    if (utf8::is_valid(content)) return field(message_, tag, content);
    std::string clean(3 * content.size(), '\0');
    clean.resize(static_cast<std::size_t>(utf8::sanitize(content, clean.data()) - clean.data()));
    field(message_, tag, clean);
  }
  static void fixed(std::string& out, unsigned char tag, std::uint64_t v) {
    out.push_back(static_cast<char>(tag));
    number(out, v);
  }
  static void number(std::string& out, std::uint64_t v) {
    wire::byte bytes[8];
    wire::put_fixed(bytes, v);
    out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  }
  static void varint(std::string& out, std::uint64_t v) {
    wire::byte bytes[10];
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(wire::put_varint(bytes, v) - bytes));
  }
  static void signed_varint(std::string& out, unsigned char tag, std::int32_t v) {  // zigzag
    if (v == 0) return;                                                             // the default
    out.push_back(static_cast<char>(tag));
    varint(out, (static_cast<std::uint32_t>(v) << 1) ^ static_cast<std::uint32_t>(v >> 31));
  }
  void real(unsigned char tag, double v) { fixed(point_, tag, std::bit_cast<std::uint64_t>(v)); }

  void begin_point(const point_frame& f, bool starts) {
    point_.clear();
    if (starts) fixed(point_, 0x11, f.start);
    fixed(point_, 0x19, f.now);
  }
  void end_point() {
    field(data_, 0x0A, point_);
    ++points_;
  }

  /// Instruments that go down have no sum worth the name.
  [[nodiscard]] bool sums() const noexcept {
    const instrument_kind k = stream_->entry->kind;
    return k == instrument_kind::counter || k == instrument_kind::histogram;
  }

  /// One range of an exponential histogram, without the empty buckets at its ends. \return whether there is any
  bool range(std::string& out, unsigned char tag, const otlpkit::detail::exponential_buckets& b, bool negative,
             std::uint64_t& count) {
    std::string counts;
    std::int32_t first = 0, last = 0;
    bool any = false;
    b.for_each(negative, [&](std::int32_t index, std::uint64_t n) {
      if (!any) {
        first = index;
      } else {
        counts.append(static_cast<std::size_t>(index - last - 1), '\0');  // empty buckets in between
      }
      any = true;
      last = index;
      varint(counts, n);
      count += n;
    });
    if (!any) return false;
    std::string message;
    signed_varint(message, 0x08, first);
    field(message, 0x12, counts);
    field(out, tag, message);
    return true;
  }

  void exemplars(const point_frame& f, unsigned char tag) {
    if (f.exemplars == nullptr) return;
    for (const kept_exemplar& e : *f.exemplars) {
      std::string message;
      fixed(message, 0x11, e.time);
      const bool floating = stream_->floating || stream_->aggregation == aggregation_kind::explicit_buckets ||
                            stream_->aggregation == aggregation_kind::exponential_buckets;
      fixed(message, floating ? 0x19 : 0x31,
            floating && !stream_->floating
                ? std::bit_cast<std::uint64_t>(static_cast<double>(static_cast<std::int64_t>(e.what.bits)))
                : e.what.bits);
      if (e.what.span.valid()) field(message, 0x22, {reinterpret_cast<const char*>(&e.what.span), sizeof e.what.span});
      if (e.what.trace.valid())
        field(message, 0x2A, {reinterpret_cast<const char*>(&e.what.trace), sizeof e.what.trace});
      message += e.attributes;
      field(point_, tag, message);
    }
  }

  const otlpkit::detail::stream* stream_ = nullptr;
  bool delta_ = false;
  std::size_t points_ = 0;
  std::string data_;
  std::string point_;
  std::string message_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
