// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/prometheus_negotiation.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace prometheus = otlpkit::prometheus;
using prometheus::format;

inline constexpr double infinity = std::numeric_limits<double>::infinity();

// A small writer of OTLP, independent of the library's.
inline std::string varint(std::uint64_t v) {
  std::string out;
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  return out + static_cast<char>(v);
}
inline std::string number(unsigned field, std::uint64_t v) { return varint(field << 3) + varint(v); }
inline std::string fixed(unsigned field, std::uint64_t v) {
  std::string out = varint(field << 3 | 1);
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(v >> (8 * i)));
  return out;
}
inline std::string real(unsigned field, double v) { return fixed(field, std::bit_cast<std::uint64_t>(v)); }
inline std::string bytes(unsigned field, const std::string& v) { return varint(field << 3 | 2) + varint(v.size()) + v; }
inline std::string packed(unsigned field, const std::vector<std::uint64_t>& values) {
  std::string out;
  for (const auto v : values) out += fixed(1, v).substr(1);
  return bytes(field, out);
}
inline std::string text_value(const std::string& v) { return bytes(1, v); }
inline std::string pair(unsigned field, const std::string& key, const std::string& value) {
  return bytes(field, bytes(1, key) + bytes(2, value));
}
inline std::string label(unsigned field, const std::string& key, const std::string& value) {
  return pair(field, key, text_value(value));
}

inline std::string sum(const std::string& points, bool monotonic, unsigned temporality = 2) {
  return bytes(7, points + number(2, temporality) + number(3, monotonic ? 1 : 0));
}
inline std::string gauge(const std::string& points) { return bytes(5, points); }
inline std::string histogram(const std::string& points) { return bytes(9, points + number(2, 2)); }
inline std::string exponential(const std::string& points) { return bytes(10, points + number(2, 2)); }
inline std::string metric(const std::string& name, const std::string& data, const std::string& unit = {},
                          const std::string& help = {}) {
  return bytes(2, bytes(1, name) + (help.empty() ? "" : bytes(2, help)) + (unit.empty() ? "" : bytes(3, unit)) + data);
}
inline std::string request(const std::string& metrics, const std::string& scope = {},
                           const std::string& resource = {}) {
  return bytes(
      1, (resource.empty() ? "" : bytes(1, resource)) + bytes(2, (scope.empty() ? "" : bytes(1, scope)) + metrics));
}
inline std::string int_point(std::int64_t v, const std::string& rest = {}) {
  return bytes(1, fixed(3, 1'700'000'000'000'000'000) + fixed(6, static_cast<std::uint64_t>(v)) + rest);
}
inline std::string real_point(double v, const std::string& rest = {}) { return bytes(1, real(4, v) + rest); }

struct rendered {
  std::string text;
  std::vector<std::string> problems;
};
inline rendered render(const std::string& otlp, format how = format::text, prometheus::page_options options = {},
                       prometheus::escaping names = prometheus::escaping::underscores) {
  prometheus::page page{std::move(options)};
  page.add_request(otlp);
  std::string text = page.text(how, names);
  return {std::move(text), page.problems()};
}

/// A reader of pages, as simple as can be: samples by name and sorted labels.
struct parsed {
  std::map<std::string, std::string> samples;  ///< "name{a=\"1\"}" to the value, exemplars cut off
  std::map<std::string, std::string> types;
  bool sound = true;
};
inline parsed parse(const std::string& page) {
  parsed out;
  std::string last;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t end = page.find('\n', at);
    if (end == std::string::npos) {
      out.sound = false;
      break;
    }
    const std::string line = page.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("# TYPE ")) {
      const std::size_t space = line.find(' ', 7);
      out.sound = out.types.emplace(line.substr(7, space - 7), line.substr(space + 1)).second && out.sound;
      continue;
    }
    if (line.starts_with("#")) continue;
    // The value begins behind the labels, which may hold anything in quotes.
    std::size_t i = 0;
    bool quoted = false;
    for (; i < line.size() && (quoted || line[i] != ' '); ++i) {
      if (quoted && line[i] == '\\') {
        ++i;
      } else if (line[i] == '"') {
        quoted = !quoted;
      }
    }
    const std::string value = line.substr(i + 1, line.find(' ', i + 1) - i - 1);
    out.sound = out.samples.emplace(line.substr(0, i), value).second && out.sound && !value.empty();
  }
  return out;
}
