// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/utf8.hpp>
#include <otlpkit/core/value_view.hpp>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

/// How the terminal tree and snapshots write names, values and durations.
namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// Columns a code point takes in a terminal: 2 for East Asian wide and emoji, 0 for combining marks (Unicode TR 11, in
/// the blocks that occur in practice).
[[nodiscard]] constexpr std::size_t columns_of(char32_t c) noexcept {
  if (c < 0x300) return 1;
  const auto in = [c](char32_t low, char32_t high) { return c >= low && c <= high; };
  if (in(0x300, 0x36F) || in(0x1AB0, 0x1AFF) || in(0x20D0, 0x20FF) || in(0xFE00, 0xFE0F) || in(0xFE20, 0xFE2F))
    return 0;
  if (in(0x1100, 0x115F) || in(0x2E80, 0x303E) || in(0x3041, 0xA4CF) || in(0xAC00, 0xD7A3) || in(0xF900, 0xFAFF))
    return 2;
  if (in(0xFE30, 0xFE6F) || in(0xFF00, 0xFF60) || in(0xFFE0, 0xFFE6) || in(0x1F300, 0x1F64F)) return 2;
  if (in(0x1F680, 0x1F6FF) || in(0x1F900, 0x1F9FF) || in(0x20000, 0x3FFFD)) return 2;
  return 1;
}

/// Columns of a text whose control characters are escaped already.
[[nodiscard]] constexpr std::size_t columns_of(std::string_view text) noexcept {
  std::size_t n = 0;
  while (!text.empty()) {
    const utf8::sequence s = utf8::first(text);
    n += columns_of(s.code_point);
    text.remove_prefix(s.length);
  }
  return n;
}

/// Whether printing `c` as it is could move the cursor, hide text or turn it around: names and values come from
/// strangers.
[[nodiscard]] constexpr bool must_escape(char32_t c) noexcept {
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return true;  // C0, DEL, C1
  if (c == 0xAD || c == 0x61C || c == 0x180E || c == 0xFEFF) return true;
  return (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
         (c >= 0xFFF9 && c <= 0xFFFB) || (c >= 0xE0000 && c <= 0xE0FFF);  // zero width, separators, bidi, tags
}

inline void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i) out.push_back("0123456789abcdef"[(value >> (4 * i)) & 15u]);
}

inline void append_hex(std::string& out, std::string_view bytes) {
  for (const char c : bytes) append_hex(out, static_cast<unsigned char>(c), 2);
}

/// Appends `text` with everything unprintable escaped (`\n`, `\x1b`, `\u202e`), invalid UTF-8 as U+FFFD, and cut with
/// an ellipsis after `max_code_points` of it (0: not at all).
inline void append_text(std::string& out, std::string_view text, std::size_t max_code_points = 0,
                        bool in_quotes = false) {
  for (std::size_t n = 0; !text.empty(); ++n) {
    if (max_code_points != 0 && n == max_code_points) {
      out += "…";
      return;
    }
    const utf8::sequence s = utf8::first(text);
    const char32_t c = s.code_point;
    if (!s.valid) {
      out += utf8::replacement;
    } else if (c == '\n' || c == '\t' || c == '\r') {
      out.push_back('\\');
      out.push_back(c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    } else if (must_escape(c)) {
      out += c < 0x100 ? "\\x" : "\\u";
      append_hex(out, static_cast<std::uint32_t>(c), c < 0x100 ? 2 : c < 0x10000 ? 4 : 6);
    } else {
      if (in_quotes && (c == '"' || c == '\\')) out.push_back('\\');
      out += text.substr(0, s.length);
    }
    text.remove_prefix(s.length);
  }
}

/// The prefix of escaped text that fits `columns`, with an ellipsis when something is missing.
[[nodiscard]] inline std::string fit(std::string_view text, std::size_t columns) {
  std::size_t used = 0;
  std::size_t room_for_ellipsis = 0;  // where to cut if the text turns out too long
  for (std::size_t i = 0; i < text.size();) {
    const utf8::sequence s = utf8::first(text.substr(i));
    used += columns_of(s.code_point);
    if (used > columns) {
      std::string cut{text.substr(0, room_for_ellipsis)};
      if (columns > 0) cut += "…";
      return cut;
    }
    i += s.length;
    if (used + 1 <= columns) room_for_ellipsis = i;
  }
  return std::string{text};
}

inline void append_number(std::string& out, std::int64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// Shortest form that reads back the same, with ".0" where it would look like an integer.
inline void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    char digits[40];
    const std::string_view text{
        digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr - digits)};
    out += text;
    if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
  }
}

/// Whether a string would read as something else, or not as one word, without quotes.
[[nodiscard]] inline bool needs_quotes(std::string_view text) noexcept {
  if (text.empty() || text == "true" || text == "false" || text == "null" || text == "NaN") return true;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= ' ' || std::string_view{"\"\\=[]{},"}.find(c) != std::string_view::npos)
      return true;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error != std::errc::invalid_argument && end == text.data() + text.size();
}

/// Appends an AnyValue; stops soon after `max` characters (0: never). Nesting deeper than eight is an ellipsis, so
/// hostile nesting costs no stack.
inline void append_value(std::string& out, const value_view& value, std::size_t max, int depth = 0) {
  using type = value_view::type;
  const std::size_t begin = out.size();
  auto separate = [&, first = true]() mutable {
    if (!first) out += ", ";
    first = false;
    if (max == 0 || out.size() - begin < max) return true;
    out += "…";
    return false;
  };
  switch (value.kind()) {
    case type::empty: out += "null"; break;
    case type::boolean: out += value.as_bool() ? "true" : "false"; break;
    case type::integer: append_number(out, value.as_int()); break;
    case type::real: append_number(out, value.as_double()); break;
    case type::string:
      if (needs_quotes(value.as_string())) {
        out.push_back('"');
        append_text(out, value.as_string(), max, true);
        out.push_back('"');
      } else {
        append_text(out, value.as_string(), max);
      }
      break;
    case type::bytes: {
      const std::string_view bytes = value.as_bytes();
      const bool cut = max != 0 && bytes.size() > max / 2;
      out += "0x";
      append_hex(out, cut ? bytes.substr(0, max / 2) : bytes);
      if (cut) out += "…";
      break;
    }
    case type::array:
      out.push_back('[');
      if (depth == 8 && !value.elements().empty()) {
        out += "…";
      } else {
        for (const value_view element : value.elements()) {
          if (!separate()) break;
          append_value(out, element, max, depth + 1);
        }
      }
      out.push_back(']');
      break;
    case type::map:
      out.push_back('{');
      if (depth == 8 && !value.entries().empty()) {
        out += "…";
      } else {
        for (const field_view entry : value.entries()) {
          if (!separate()) break;
          append_text(out, entry.key, max);
          out.push_back('=');
          append_value(out, entry.value, max, depth + 1);
        }
      }
      out.push_back('}');
      break;
  }
}

/// Three digits and a unit: "850 ns", "12.4 µs", "3.00 ms", "412 ms", "1.25 s", "2 m 05 s". Independent of the locale.
inline void append_duration(std::string& out, std::uint64_t ns) {
  if (ns >= 60'000'000'000u) {
    const std::uint64_t seconds = ns / 1'000'000'000u;
    append_number(out, static_cast<std::int64_t>(seconds / 60));
    out += seconds % 60 < 10 ? " m 0" : " m ";
    append_number(out, static_cast<std::int64_t>(seconds % 60));
    out += " s";
    return;
  }
  if (ns < 1000) {
    append_number(out, static_cast<std::int64_t>(ns));
    out += " ns";
    return;
  }
  // Not 999.96 -> "1000": what would round up to four digits goes to the next unit.
  const bool us = ns < 999'500;
  const bool ms = !us && ns < 999'500'000;
  const double value = static_cast<double>(ns) / (us ? 1e3 : ms ? 1e6 : 1e9);
  char digits[32];
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed, decimals).ptr);
  out += us ? " µs" : ms ? " ms" : " s";
}

/// "3.0%", "76%".
inline void append_share(std::string& out, std::uint64_t part, std::uint64_t whole) {
  const double percent = whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  char digits[320];
  const int decimals = percent < 9.95 ? 1 : 0;
  out.append(digits, std::to_chars(digits, digits + sizeof digits, percent, std::chars_format::fixed, decimals).ptr);
  out.push_back('%');
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
