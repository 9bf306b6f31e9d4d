// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/runtime.hpp>
#include <otlpkit/core/value_view.hpp>
#include <otlpkit/core/wire_reader.hpp>
#include <otlpkit/sdk/batch.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Metric messages decoded into plain values.
namespace metric_points {

struct exemplar {
  std::uint64_t time = 0;
  std::int64_t integer = 0;
  double real = 0;
  std::string trace{}, span{};  ///< as bytes
  std::map<std::string, std::string> labels{};
};

struct point {
  std::map<std::string, std::string> labels{};
  std::vector<exemplar> exemplars{};
  std::int32_t scale = 0;
  std::uint64_t zeros = 0;
  std::map<std::int32_t, std::uint64_t> above{}, below{};  ///< buckets that are not empty, by index
  std::uint64_t start = 0, time = 0, count = 0;
  std::int64_t integer = 0;
  double real = 0, sum = 0, min = 0, max = 0;
  bool has_extremes = false, has_sum = false;
  std::vector<std::uint64_t> counts{};
  std::vector<double> bounds{};
};

struct metric {
  std::string name{}, unit{}, description{};
  std::uint32_t data = 0;         ///< 5 gauge, 7 sum, 9 histogram, 10 exponential histogram
  std::uint64_t temporality = 0;  ///< 1 delta, 2 cumulative
  bool monotonic = false;
  std::vector<point> points{};
};

inline std::string text_of(otlpkit::value_view v) {
  using type = otlpkit::value_view::type;
  switch (v.kind()) {
    case type::string: return std::string{v.as_string()};
    case type::boolean: return v.as_bool() ? "true" : "false";
    case type::integer: return std::to_string(v.as_int());
    case type::real: return std::to_string(v.as_double());
    case type::bytes: return "bytes:" + std::string{v.as_bytes()};
    case type::array: return "array of " + std::to_string(v.elements().size());
    case type::map: return "map";
    default: return "";
  }
}

inline exemplar decode_exemplar(std::string_view bytes) {
  exemplar e;
  for (otlpkit::wire::reader f{bytes}; f.next();) {
    switch (f.number()) {
      case 2: e.time = f.value(); break;
      case 3: e.real = f.as_double(); break;
      case 4: e.span = f.bytes(); break;
      case 5: e.trace = f.bytes(); break;
      case 6: e.integer = f.as_int(); break;
      case 7: {
        const otlpkit::field_view pair{f.bytes()};
        e.labels[std::string{pair.key}] = text_of(pair.value);
        break;
      }
      default: break;
    }
  }
  return e;
}

inline std::int32_t unzigzag(std::uint64_t v) { return static_cast<std::int32_t>((v >> 1) ^ (~(v & 1) + 1)); }

inline std::map<std::int32_t, std::uint64_t> decode_range(std::string_view bytes) {
  std::map<std::int32_t, std::uint64_t> out;
  std::int32_t index = 0;
  std::string_view counts;
  for (otlpkit::wire::reader f{bytes}; f.next();) {
    if (f.number() == 1) index = unzigzag(f.value());
    if (f.number() == 2) counts = f.bytes();
  }
  std::uint64_t n = 0;
  for (; otlpkit::wire::reader::take_varint(counts, n); ++index) {
    if (n != 0) out[index] = n;
  }
  return out;
}

/// \param data the field of Metric it is in: 5 gauge, 7 sum, 9 histogram, 10 exponential histogram
inline point decode_point(std::string_view bytes, std::uint32_t data) {
  point p;
  const bool number = data < 9, exponential = data == 10;
  const std::uint32_t attributes = number ? 7 : exponential ? 1 : 9;
  const std::uint32_t exemplars = number ? 5 : exponential ? 11 : 8;
  const std::uint32_t min = exponential ? 12 : 11;
  for (otlpkit::wire::reader f{bytes}; f.next();) {
    if (f.number() == 2) p.start = f.value();
    if (f.number() == 3) p.time = f.value();
    if (f.number() == attributes) {
      const otlpkit::field_view pair{f.bytes()};
      p.labels[std::string{pair.key}] = text_of(pair.value);
    }
    if (f.number() == exemplars) p.exemplars.push_back(decode_exemplar(f.bytes()));
    if (number) {
      if (f.number() == 4) p.real = f.as_double();
      if (f.number() == 6) p.integer = f.as_int();
      continue;
    }
    if (f.number() == 4) p.count = f.value();
    if (f.number() == 5) p.sum = f.as_double(), p.has_sum = true;
    if (f.number() == min) p.min = f.as_double(), p.has_extremes = true;
    if (f.number() == min + 1) p.max = f.as_double();
    if (exponential) {
      if (f.number() == 6) p.scale = unzigzag(f.value());
      if (f.number() == 7) p.zeros = f.value();
      if (f.number() == 8) p.above = decode_range(f.bytes());
      if (f.number() == 9) p.below = decode_range(f.bytes());
      continue;
    }
    std::string_view packed = f.bytes();
    std::uint64_t v = 0;
    if (f.number() == 6)
      while (otlpkit::wire::reader::take_fixed(packed, 8, v)) p.counts.push_back(v);
    if (f.number() == 7)
      while (otlpkit::wire::reader::take_fixed(packed, 8, v)) p.bounds.push_back(std::bit_cast<double>(v));
  }
  return p;
}

inline metric decode_metric(std::string_view bytes) {
  metric m;
  for (otlpkit::wire::reader f{bytes}; f.next();) {
    if (f.number() == 1) m.name = f.bytes();
    if (f.number() == 2) m.description = f.bytes();
    if (f.number() == 3) m.unit = f.bytes();
    if (f.number() < 5) continue;
    m.data = f.number();
    for (otlpkit::wire::reader d{f.bytes()}; d.next();) {
      if (d.number() == 1) m.points.push_back(decode_point(d.bytes(), m.data));
      if (d.number() == 2) m.temporality = d.value();
      if (d.number() == 3) m.monotonic = d.as_bool();
    }
  }
  return m;
}

inline std::vector<metric> decode(std::span<const otlpkit::sdk::scope_items> scopes) {
  std::vector<metric> out;
  for (const auto& s : scopes) {
    for (otlpkit::wire::reader f{s.items}; f.next();) out.push_back(decode_metric(f.bytes()));
  }
  return out;
}

/// The metric of that name; an empty one if there is none.
inline metric named(const std::vector<otlpkit::sdk::scope_items>& scopes, std::string_view name) {
  for (metric& m : decode(scopes)) {
    if (m.name == name) return m;
  }
  return {};
}

/// The points of a metric by the value of one label.
inline std::map<std::string, point> by(const metric& m, const std::string& label) {
  std::map<std::string, point> out;
  for (const point& p : m.points) out[p.labels.contains(label) ? p.labels.at(label) : ""] = p;
  return out;
}

/// Turns metrics on while it lives.
struct recording {
  recording() { otlpkit::detail::global_runtime.mode.store(otlpkit::detail::mode_metrics, otlpkit::platform::relaxed); }
  ~recording() { otlpkit::detail::global_runtime.mode.store(0, otlpkit::platform::relaxed); }
};

/// Keeps diagnostics instead of printing them.
struct diagnostics {
  diagnostics() {
    messages().clear();
    // Past tests spent the rate limit's burst.
    otlpkit::detail::global_diagnostics.due_ns.store(0, otlpkit::platform::relaxed);
    otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view text) {
      const std::lock_guard lock{mutex()};
      messages().emplace_back(text);
    });
  }
  ~diagnostics() { otlpkit::on_diagnostic(nullptr); }
  [[nodiscard]] std::size_t count(std::string_view part) const {
    const std::lock_guard lock{mutex()};
    return static_cast<std::size_t>(std::count_if(messages().begin(), messages().end(),
                                                  [&](const std::string& m) { return m.find(part) != m.npos; }));
  }

 private:
  static std::vector<std::string>& messages() {
    static std::vector<std::string> all;
    return all;
  }
  static std::mutex& mutex() {
    static std::mutex m;
    return m;
  }
};

}  // namespace metric_points
