// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/utf8.hpp>
#include <otlpkit/export/prometheus_names.hpp>
#include <otlpkit/export/prometheus_values.hpp>
#include <otlpkit/sdk/translation.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::prometheus {

/// How a page is written.
enum class format : std::uint8_t {
  text,         ///< the text format of Prometheus, 0.0.4
  openmetrics,  ///< OpenMetrics 1.0, with units and exemplars
};

/// What a page says besides the metrics themselves.
struct page_options {
  bool scope_labels = true;  ///< otel_scope_name, otel_scope_version, ... on every series
  bool target_info = true;   ///< the resource, as the metric target_info
  prometheus_translation translation = prometheus_translation::underscore_escaping_with_suffixes;
  std::vector<std::string> resource_labels{};  ///< attributes of the resource on every series, by key; "*": all
};

/// What becomes of characters in names that older Prometheus does not have, as the client asks (Prometheus
/// documentation, escaping schemes). Names without such characters stay as they are.
enum class escaping : std::uint8_t {
  underscores,  ///< each becomes `_`
  dots,         ///< `.` becomes `_dot_`, `_` becomes `__`, others `_`
  values,       ///< `U__` in front, `_` becomes `__`, others their code point in hexadecimal between two `_`
  allow_utf8,   ///< they stay, and the name is quoted
};

namespace detail {

/// Whether older Prometheus takes it as the name of a metric (with colons) or of a label.
[[nodiscard]] constexpr bool is_plain_name(std::string_view name, bool colons) noexcept {
  if (name.empty() || is_digit(name[0])) return false;
  for (const char c : name) {
    if (!is_word(c) && !(colons && c == ':')) return false;
  }
  return true;
}

/// A code point off the front of valid UTF-8.
[[nodiscard]] inline std::uint32_t take_code_point(std::string_view& text) noexcept {
  const auto byte = [&text](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t head = byte(0);
  const std::size_t size = head < 0x80 ? 1 : head < 0xE0 ? 2 : head < 0xF0 ? 3 : 4;
  std::uint32_t code = size == 1 ? head : head & (0xFFu >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) code = code << 6 | (byte(i) & 0x3F);
  text.remove_prefix(size);
  return code;
}

[[nodiscard]] inline std::string escaped(std::string_view name, escaping how, bool colons) {
  if (how == escaping::allow_utf8 || name.empty()) return std::string{name};
  const bool plain = is_plain_name(name, colons);
  if (plain && how != escaping::dots) return std::string{name};
  constexpr char hex[] = "0123456789ABCDEF";
  std::string out = how == escaping::values ? "U__" : "";
  for (bool first = true; !name.empty(); first = false) {
    const std::uint32_t code = take_code_point(name);
    const char c = code < 0x80 ? static_cast<char>(code) : '\0';
    const bool fits = (is_word(c) || (colons && c == ':')) && !(first && is_digit(c));
    if (how != escaping::underscores && c == '_') {
      out += "__";
    } else if (fits) {
      out.push_back(c);
    } else if (how == escaping::dots && c == '.') {
      out += "_dot_";
    } else if (how == escaping::values) {
      std::string digits;
      for (std::uint32_t rest = code; rest != 0 || digits.empty(); rest >>= 4)
        digits.insert(digits.begin(), hex[rest & 15]);
      out.append("_").append(digits).append("_");
    } else {
      out.push_back('_');
    }
  }
  return out;
}

[[nodiscard]] inline std::string valid_utf8(std::string_view text) {
  std::string out;
  utf8::sanitize(text, [&](std::string_view part) { out += part; });
  return out;
}

}  // namespace detail

/// How names get onto a page: as the exporter is set up, then as the client asks.
struct naming {
  prometheus_translation translation = prometheus_translation::underscore_escaping_with_suffixes;
  prometheus::escaping escaping = prometheus::escaping::underscores;

  [[nodiscard]] bool underscores() const noexcept {
    return translation == prometheus_translation::underscore_escaping_with_suffixes ||
           translation == prometheus_translation::underscore_escaping_without_suffixes;
  }
  [[nodiscard]] bool suffixes() const noexcept {
    return translation == prometheus_translation::underscore_escaping_with_suffixes ||
           translation == prometheus_translation::no_utf8_escaping_with_suffixes;
  }

  /// The name of a metric without the suffix of its type, before it is escaped.
  [[nodiscard]] std::string family(std::string_view name, std::string_view word, bool counter) const {
    if (underscores()) return suffixes() ? family_name(name, word, counter) : metric_name(name);
    std::string out = detail::valid_utf8(name);
    return suffixes() ? with_unit(std::move(out), word, counter) : out;
  }
  /// What a client gets instead of this name.
  [[nodiscard]] std::string metric(std::string_view name) const { return detail::escaped(name, escaping, true); }
  [[nodiscard]] std::string label(std::string_view key) const {
    return detail::escaped(underscores() ? label_name(key) : detail::valid_utf8(key), escaping, false);
  }
};

namespace detail {

/// A name as it stands in a line: in quotes where it needs them.
inline void append_name(std::string& out, std::string_view name, bool colons) {
  if (is_plain_name(name, colons)) {
    out += name;
    return;
  }
  out.push_back('"');
  append_escaped(out, name, true);
  out.push_back('"');
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus
