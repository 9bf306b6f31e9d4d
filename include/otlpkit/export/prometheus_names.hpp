// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <string>
#include <string_view>

/// What OpenTelemetry calls things, as Prometheus may call them (specification,
/// compatibility/prometheus_and_openmetrics). Pure text, no state.
namespace otlpkit::inline OTLPKIT_ABI::prometheus {

namespace detail {

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_word(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

/// Every other character becomes `_`, and several `_` in a row become one. A digit in front gets a `_` before it.
[[nodiscard]] inline std::string clean(std::string_view text, bool colons) {
  std::string out;
  out.reserve(text.size() + 1);
  if (!text.empty() && is_digit(text[0])) out.push_back('_');
  for (const char c : text) {
    const char kept = is_word(c) || (colons && c == ':') ? c : '_';
    if (kept != '_' || out.empty() || out.back() != '_') out.push_back(kept);
  }
  return out;
}

struct unit_word {
  std::string_view unit, word, one;  ///< as in UCUM, in plural, in singular
};
inline constexpr unit_word unit_words[] = {
    {"d", "days", "day"},
    {"h", "hours", "hour"},
    {"min", "minutes", "minute"},
    {"s", "seconds", "second"},
    {"ms", "milliseconds", "millisecond"},
    {"us", "microseconds", "microsecond"},
    {"ns", "nanoseconds", "nanosecond"},
    {"By", "bytes", "byte"},
    {"KiBy", "kibibytes", "kibibyte"},
    {"MiBy", "mebibytes", "mebibyte"},
    {"GiBy", "gibibytes", "gibibyte"},
    {"TiBy", "tebibytes", "tebibyte"},
    {"kBy", "kilobytes", "kilobyte"},
    {"MBy", "megabytes", "megabyte"},
    {"GBy", "gigabytes", "gigabyte"},
    {"TBy", "terabytes", "terabyte"},
    {"m", "meters", "meter"},
    {"V", "volts", "volt"},
    {"A", "amperes", "ampere"},
    {"J", "joules", "joule"},
    {"W", "watts", "watt"},
    {"g", "grams", "gram"},
    {"Cel", "celsius", "celsius"},
    {"Hz", "hertz", "hertz"},
    {"%", "percent", "percent"},
};

[[nodiscard]] inline std::string word_of(std::string_view unit, bool singular) {
  for (const unit_word& w : unit_words) {
    if (w.unit == unit) return std::string{singular ? w.one : w.word};
  }
  std::string out = unit == "1" ? std::string{} : clean(unit, false);
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out;
}

[[nodiscard]] inline std::string_view without_suffix(std::string_view name, std::string_view suffix) noexcept {
  return name.size() > suffix.size() && name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name;
}

}  // namespace detail

/// A metric name: letters, digits, `_` and `:`.
[[nodiscard]] inline std::string metric_name(std::string_view name) { return detail::clean(name, true); }

/// A label name: letters, digits and `_`; never one of those that begin with `__`, which are Prometheus's own.
[[nodiscard]] inline std::string label_name(std::string_view key) { return detail::clean(key, false); }

/// The word for a UCUM unit: `By` bytes, `m/s` meters_per_second, `{request}` and `1` nothing.
[[nodiscard]] inline std::string unit_word(std::string_view unit) {
  std::string plain;
  int depth = 0;
  for (const char c : unit) {
    if (c == '{') ++depth;
    if (depth == 0) plain.push_back(c);
    if (c == '}' && depth > 0) --depth;
  }
  const std::size_t slash = plain.find('/');
  if (slash == std::string::npos) return detail::word_of(plain, false);
  const std::string of = detail::word_of(std::string_view{plain}.substr(0, slash), false);
  const std::string per = detail::word_of(std::string_view{plain}.substr(slash + 1), true);
  if (per.empty()) return of;
  return of.empty() ? "per_" + per : of + "_per_" + per;
}

/// The name with its unit, unless it ends with it already.
/// \param word what unit_word() made of the unit
/// \param counter `_total` at the end of the name is the type's, and comes after the unit
[[nodiscard]] inline std::string with_unit(std::string out, std::string_view word, bool counter) {
  if (counter) out = detail::without_suffix(out, "_total");
  if (word.empty() || out == word || (out.ends_with(word) && out[out.size() - word.size() - 1] == '_')) return out;
  if (!out.ends_with('_')) out.push_back('_');
  return out.append(word);
}

/// The same, of a name that is cleaned first.
[[nodiscard]] inline std::string family_name(std::string_view name, std::string_view word, bool counter) {
  return with_unit(metric_name(name), word, counter);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus
