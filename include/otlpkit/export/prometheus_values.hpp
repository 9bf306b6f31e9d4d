// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/utf8.hpp>
#include <otlpkit/core/value_view.hpp>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

/// Numbers, label values and attribute values as the exposition formats write them.
namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail {

template <class Integer>
requires std::is_integral_v<Integer>
inline void append_number(std::string& out, Integer value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// The shortest form that reads back the same: `0.1`, `100000`, `1e+06`, `NaN`, `+Inf`, `-Inf`.
/// \param point "1.0" and not "1", as OpenMetrics wants the bounds of buckets
inline void append_number(std::string& out, double value, bool point = false) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Inf" : "+Inf";
  } else {
    const double size = std::fabs(value);
    const bool plain = size == 0 || (size >= 1e-4 && size < 1e6);
    char digits[40];
    const auto end = std::to_chars(digits, digits + sizeof digits, value,
                                   plain ? std::chars_format::fixed : std::chars_format::scientific)
                         .ptr;
    const std::string_view text{digits, static_cast<std::size_t>(end - digits)};
    out += text;
    if (point && plain && text.find('.') == std::string_view::npos) out += ".0";
  }
}

/// Text of a label's value or of a HELP line: valid UTF-8, with what would end it escaped.
inline void append_escaped(std::string& out, std::string_view text, bool quotes) {
  utf8::sanitize(text, [&](std::string_view part) {
    for (const char c : part) {
      if (c == '\\' || c == '\n' || (quotes && c == '"')) out.push_back('\\');
      out.push_back(c == '\n' ? 'n' : c);
    }
  });
}

inline void append_base64(std::string& out, std::string_view bytes) {
  constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t three = 0;
    for (std::size_t k = 0; k < 3; ++k)
      three = three << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : std::uint32_t{0});
    for (std::size_t k = 0; k < 4; ++k) out.push_back(k <= n ? alphabet[three >> (18 - 6 * k) & 63] : '=');
  }
}

inline void append_json_string(std::string& out, std::string_view text) {
  constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  utf8::sanitize(text, [&](std::string_view part) {
    for (const char c : part) {
      if (c == '"' || c == '\\') {
        out.append({'\\', c});
      } else if (c == '\n') {
        out += "\\n";
      } else if (static_cast<unsigned char>(c) < 0x20) {
        out.append("\\u00").append({hex[c >> 4], hex[c & 15]});
      } else {
        out.push_back(c);
      }
    }
  });
  out.push_back('"');
}

inline void append_real(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value < 0 ? "-Infinity" : "Infinity";
  } else {
    char digits[40];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  }
}

/// Deeper nesting than any attribute may have; what is below is left out, so that hostile nesting costs no stack.
inline constexpr int most_nesting = 64;

/// A value inside an array or a map, as JSON.
inline void append_json(std::string& out, const value_view& value, int depth) {
  using type = value_view::type;
  const char* separator = "";
  switch (value.kind()) {
    case type::empty: out += "null"; return;
    case type::boolean: out += value.as_bool() ? "true" : "false"; return;
    case type::integer: append_number(out, value.as_int()); return;
    case type::real: {
      const bool finite = std::isfinite(value.as_double());
      if (!finite) out.push_back('"');
      append_real(out, value.as_double());
      if (!finite) out.push_back('"');
      return;
    }
    case type::string: append_json_string(out, value.as_string()); return;
    case type::bytes:
      out.push_back('"');
      append_base64(out, value.as_bytes());
      out.push_back('"');
      return;
    case type::array:
      out.push_back('[');
      if (depth < most_nesting) {
        for (const value_view element : value.elements()) {
          out += separator;
          append_json(out, element, depth + 1);
          separator = ",";
        }
      }
      out.push_back(']');
      return;
    case type::map:
      out.push_back('{');
      if (depth < most_nesting) {
        for (const field_view entry : value.entries()) {
          out += separator;
          append_json_string(out, entry.key);
          out.push_back(':');
          append_json(out, entry.value, depth + 1);
          separator = ",";
        }
      }
      out.push_back('}');
      return;
  }
}

/// An attribute's value in its string form (specification, common): text as it is, everything else as JSON has it.
[[nodiscard]] inline std::string text_of(const value_view& value) {
  using type = value_view::type;
  std::string out;
  switch (value.kind()) {
    case type::empty: break;
    case type::string: out = value.as_string(); break;
    case type::bytes: append_base64(out, value.as_bytes()); break;
    case type::real: append_real(out, value.as_double()); break;
    default: append_json(out, value, 1); break;
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail
