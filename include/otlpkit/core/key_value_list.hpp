// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/percent.hpp>
#include <otlpkit/core/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI {

using key_value_pairs = std::vector<std::pair<std::string, std::string>>;

/// Without the spaces and tabs around it.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `each` with every non-empty, trimmed entry of a comma-separated list.
template <typename Each>
void for_each_entry(std::string_view list, Each&& each) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view entry = trimmed(list.substr(0, comma));
    if (!entry.empty()) each(entry);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
}

/// What a list of `key=value` held, and what was wrong with it.
struct key_value_list {
  key_value_pairs pairs;
  std::vector<std::string> problems;  ///< each completes "expected"; never holds a value, which may be a secret
};

/// Reads OTEL_RESOURCE_ATTRIBUTES: `k1=v1,k2=v2` with `,` and `=` inside keys and values percent-encoded. One error
/// discards everything (specification, resource/sdk), so there are either pairs or one problem.
[[nodiscard]] inline key_value_list parse_resource_attributes(std::string_view text) {
  key_value_list out;
  std::size_t number = 0;
  for_each_entry(text, [&](std::string_view entry) {
    ++number;
    if (!out.problems.empty()) return;
    const auto fail = [&](const char* expected) {
      out.problems.push_back(std::string{expected} + " (entry " + std::to_string(number) + ")");
    };
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos) return fail("key=value");
    const std::string_view raw = trimmed(entry.substr(equals + 1));
    if (raw.find('=') != std::string_view::npos) return fail("'=' inside a value written as %3D");
    auto key = percent_decode(trimmed(entry.substr(0, equals)));
    auto value = percent_decode(raw);
    if (!key || !value) return fail("two hexadecimal digits after each '%'");
    if (key->empty()) return fail("a key before '='");
    if (!utf8::is_valid(*key) || !utf8::is_valid(*value)) return fail("UTF-8 after percent-decoding");
    out.pairs.emplace_back(std::move(*key), std::move(*value));
  });
  if (!out.problems.empty()) out.pairs.clear();
  return out;
}

/// Whether `name` can be an HTTP header field name (RFC 9110, section 5.6.2: token).
[[nodiscard]] constexpr bool is_header_name(std::string_view name) noexcept {
  for (const char c : name) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!alphanumeric && std::string_view{"!#$%&'*+-.^_`|~"}.find(c) == std::string_view::npos) return false;
  }
  return !name.empty();
}

/// Whether `value` can be sent as an HTTP header field value: no control characters, which would begin a header of
/// their own.
[[nodiscard]] constexpr bool is_header_value(std::string_view value) noexcept {
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7F) return false;
  }
  return true;
}

/// Reads OTEL_EXPORTER_OTLP_HEADERS: W3C Baggage syntax without metadata. The first `=` separates, values are
/// percent-decoded. An entry that is wrong is left out, the others stay. Of equal names (in any case) the last wins.
[[nodiscard]] inline key_value_list parse_otlp_headers(std::string_view text) {
  key_value_list out;
  std::size_t number = 0;
  const auto lower = [](std::string_view name) {
    std::string copy{name};
    for (char& c : copy) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return copy;
  };
  for_each_entry(text, [&](std::string_view entry) {
    ++number;
    const std::size_t equals = entry.find('=');
    const std::string_view name = trimmed(entry.substr(0, equals));
    // Only a well-formed name in front of '=' is shown: anything else may be part of a secret.
    if (equals == std::string_view::npos || !is_header_name(name)) {
      out.problems.push_back("name=value with an HTTP header name (entry " + std::to_string(number) + ")");
      return;
    }
    auto value = percent_decode(trimmed(entry.substr(equals + 1)));
    if (!value) {
      out.problems.push_back("two hexadecimal digits after each '%' in the value of " + quoted(name));
      return;
    }
    if (!is_header_value(*value)) {
      out.problems.push_back("no control characters in the value of " + quoted(name));
      return;
    }
    out.pairs.emplace_back(lower(name), std::move(*value));
  });
  // Keeps the last of equal names in linear-logarithmic time: the list may be long.
  std::vector<std::size_t> order(out.pairs.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const int c = out.pairs[a].first.compare(out.pairs[b].first);
    return c != 0 ? c < 0 : a < b;
  });
  std::vector<bool> keep(out.pairs.size(), true);
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    if (out.pairs[order[i]].first == out.pairs[order[i + 1]].first) keep[order[i]] = false;
  }
  key_value_pairs kept;
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (keep[i]) kept.push_back(std::move(out.pairs[i]));
  }
  out.pairs = std::move(kept);
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI
