// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/value_view.hpp>
#include <otlpkit/core/wire_reader.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

/// Data points of OTLP metrics (opentelemetry/proto/metrics/v1/metrics.proto), read as a page of Prometheus needs them.
namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail {

using wire_reader = wire::reader;

struct number_value {
  double real = 0;
  std::int64_t integer = 0;
  bool is_integer = false;

  [[nodiscard]] double as_double() const noexcept { return is_integer ? static_cast<double>(integer) : real; }
};

/// The fields that the messages of data points share, by number.
struct point_layout {
  std::uint32_t attributes, exemplars, flags;
};
inline constexpr point_layout number_layout{7, 5, 8};
inline constexpr point_layout histogram_layout{9, 8, 10};
inline constexpr point_layout exponential_layout{1, 11, 10};
inline constexpr point_layout summary_layout{7, 0, 8};

/// What a data point of any kind has.
struct point {
  std::vector<field_view> attributes;
  std::vector<std::string_view> exemplars;
  bool absent = false;  ///< "no recorded value"

  void take(const wire_reader& f, const point_layout& layout) {
    if (f.is(layout.attributes, wire_reader::len)) attributes.emplace_back(f.bytes());
    if (layout.exemplars != 0 && f.is(layout.exemplars, wire_reader::len)) exemplars.push_back(f.bytes());
    if (f.is(layout.flags, wire_reader::varint)) absent = (f.value() & 1) != 0;
  }
};

struct exemplar_view {
  number_value value;
  std::uint64_t time = 0;  ///< ns since the epoch
  std::string_view span, trace;
  std::vector<field_view> attributes;

  explicit exemplar_view(std::string_view message) {
    for (wire_reader f{message}; f.next();) {
      if (f.is(2, wire_reader::i64)) time = f.value();
      if (f.is(3, wire_reader::i64)) value = {f.as_double(), 0, false};
      if (f.is(4, wire_reader::len)) span = f.bytes();
      if (f.is(5, wire_reader::len)) trace = f.bytes();
      if (f.is(6, wire_reader::i64)) value = {0, f.as_int(), true};
      if (f.is(7, wire_reader::len)) attributes.emplace_back(f.bytes());
    }
  }
};

struct number_point : point {
  number_value value;

  explicit number_point(std::string_view message) {
    for (wire_reader f{message}; f.next();) {
      take(f, number_layout);
      if (f.is(4, wire_reader::i64)) value = {f.as_double(), 0, false};
      if (f.is(6, wire_reader::i64)) value = {0, f.as_int(), true};
    }
  }
};

/// One line of a histogram: how many of the values are `le` or less.
struct bucket {
  double le = 0;
  std::uint64_t count = 0;
};

struct histogram_point : point {
  std::vector<bucket> buckets;  ///< ascending, without the one of infinity, which is `count`
  std::uint64_t count = 0;
  double sum = 0;
  bool has_sum = false;
  bool sound = true;  ///< bounds ascend, and there is a count for each

  /// Explicit bounds.
  [[nodiscard]] static histogram_point explicit_bounds(std::string_view message) {
    histogram_point p;
    std::vector<std::uint64_t> counts, bounds;
    for (wire_reader f{message}; f.next();) {
      p.take(f, histogram_layout);
      p.take_total(f);
      if (f.number() == 6) take_fixed(f, counts);
      if (f.number() == 7) take_fixed(f, bounds);
    }
    p.sound = counts.size() == bounds.size() + 1 || (counts.empty() && bounds.empty());
    std::uint64_t below = 0;
    for (std::size_t i = 0; p.sound && i < bounds.size(); ++i) {
      const double le = std::bit_cast<double>(bounds[i]);
      p.sound = !std::isnan(le) && (i == 0 || le > std::bit_cast<double>(bounds[i - 1]));
      below += counts[i];
      if (le != std::numeric_limits<double>::infinity()) p.buckets.push_back({le, below});
    }
    return p;
  }

  /// Exponential buckets, made coarser until their bounds are powers of two: those stay where they are while the scale
  /// changes, and a fixed set of `le` is what makes series comparable over time. Counts stay exact.
  [[nodiscard]] static histogram_point exponential(std::string_view message) {
    histogram_point p;
    std::int64_t scale = 0;
    std::uint64_t zeros = 0;
    double zero_threshold = 0;
    std::string_view above, below;
    for (wire_reader f{message}; f.next();) {
      p.take(f, exponential_layout);
      p.take_total(f);
      if (f.is(6, wire_reader::varint)) scale = f.as_zigzag();
      if (f.is(7, wire_reader::i64)) zeros = f.value();
      if (f.is(8, wire_reader::len)) above = f.bytes();
      if (f.is(9, wire_reader::len)) below = f.bytes();
      if (f.is(14, wire_reader::i64)) zero_threshold = f.as_double();
    }
    std::vector<bucket> each;
    powers(below, scale, [&](std::int64_t, double lower, double, std::uint64_t n) { each.push_back({0 - lower, n}); });
    each.push_back({zero_threshold > 0 ? zero_threshold : 0, zeros});
    powers(above, scale, [&](std::int64_t, double, double upper, std::uint64_t n) { each.push_back({upper, n}); });
    std::ranges::sort(each, {}, &bucket::le);
    std::uint64_t total = 0;
    for (const bucket& b : each) {
      total += b.count;
      if (!std::isfinite(b.le)) continue;
      if (p.buckets.empty() || p.buckets.back().le < b.le) p.buckets.push_back({b.le, total});
      p.buckets.back().count = total;
    }
    return p;
  }

 private:
  void take_total(const wire_reader& f) {
    if (f.is(4, wire_reader::i64)) count = f.value();
    if (f.is(5, wire_reader::i64)) {
      sum = f.as_double();
      has_sum = true;
    }
  }
  /// Packed, or one by one: protobuf readers take both.
  static void take_fixed(const wire_reader& f, std::vector<std::uint64_t>& to) {
    if (f.type() == wire_reader::i64) to.push_back(f.value());
    std::string_view packed = f.bytes();
    for (std::uint64_t v = 0; wire_reader::take_fixed(packed, 8, v);) to.push_back(v);
  }

  /// Calls `each(index, lower, upper, count)` for the buckets from the first to the last that is not empty, at scale 0
  /// or the point's own if that is less.
  template <class Each>
  static void powers(std::string_view range, std::int64_t scale, Each each) {
    std::int64_t offset = 0;
    std::vector<std::uint64_t> counts;
    for (wire_reader f{range}; f.next();) {
      if (f.is(1, wire_reader::varint)) offset = std::clamp<std::int64_t>(f.as_zigzag(), INT32_MIN, INT32_MAX);
      if (f.is(2, wire_reader::varint)) counts.push_back(f.value());
      if (f.is(2, wire_reader::len)) {
        std::string_view packed = f.bytes();
        for (std::uint64_t v = 0; wire_reader::take_varint(packed, v);) counts.push_back(v);
      }
    }
    while (!counts.empty() && counts.back() == 0) counts.pop_back();
    std::size_t i = 0;
    while (i < counts.size() && counts[i] == 0) ++i;
    const int finer = static_cast<int>(std::clamp<std::int64_t>(scale, 0, 40));
    const auto width = std::int64_t{1} << std::clamp<std::int64_t>(-scale, 0, 12);  // octaves of a bucket
    const auto power = [](std::int64_t e) {
      return std::ldexp(1.0, static_cast<int>(std::clamp<std::int64_t>(e, -2000, 2000)));
    };
    while (i < counts.size()) {
      const std::int64_t index = (offset + static_cast<std::int64_t>(i)) >> finer;
      std::uint64_t n = 0;
      for (; i < counts.size() && ((offset + static_cast<std::int64_t>(i)) >> finer) == index; ++i) n += counts[i];
      each(index, power(index * width), power((index + 1) * width), n);
    }
  }
};

struct summary_point : point {
  std::vector<std::pair<double, double>> quantiles;
  std::uint64_t count = 0;
  double sum = 0;

  explicit summary_point(std::string_view message) {
    for (wire_reader f{message}; f.next();) {
      take(f, summary_layout);
      if (f.is(4, wire_reader::i64)) count = f.value();
      if (f.is(5, wire_reader::i64)) sum = f.as_double();
      if (!f.is(6, wire_reader::len)) continue;
      auto& [quantile, value] = quantiles.emplace_back();
      for (wire_reader q{f.bytes()}; q.next();) {
        if (q.is(1, wire_reader::i64)) quantile = q.as_double();
        if (q.is(2, wire_reader::i64)) value = q.as_double();
      }
    }
    std::ranges::sort(quantiles);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail
