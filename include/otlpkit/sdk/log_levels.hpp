// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/key_value_list.hpp>
#include <otlpkit/log/severity.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// What a level may be called, each severity by its number; 0 is none.
inline constexpr std::string_view severity_names[] = {
    "",       "trace",  "trace2", "trace3", "trace4", "debug",  "debug2", "debug3", "debug4",
    "info",   "info2",  "info3",  "info4",  "warn",   "warn2",  "warn3",  "warn4",  "error",
    "error2", "error3", "error4", "fatal",  "fatal2", "fatal3", "fatal4", "off"};

/// The severity with this name, in any case; "warning" and "none" are taken too. Nothing for any other word.
[[nodiscard]] inline std::optional<severity> parse_severity(std::string_view name) {
  std::string lower{trimmed(name)};
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (lower == "warning") return severity::warn;
  if (lower == "none") return severity::off;
  for (std::size_t i = 1; i < std::size(severity_names); ++i) {
    if (severity_names[i] == lower) return static_cast<severity>(i);
  }
  return std::nullopt;
}

/// The least severities of OTLPKIT_LOG_LEVEL, such as "info,shop.*=debug,shop.net=off".
struct log_level_list {
  std::optional<severity> general;
  std::vector<std::pair<std::string, severity>> scopes;  ///< names, or beginnings of names with an asterisk
  std::vector<std::string> problems;                     ///< the entries nobody understands
};

[[nodiscard]] inline log_level_list parse_log_levels(std::string_view text) {
  log_level_list out;
  for_each_entry(text, [&](std::string_view entry) {
    const std::size_t equals = entry.rfind('=');
    const bool of_scope = equals != std::string_view::npos;
    const auto level = parse_severity(of_scope ? entry.substr(equals + 1) : entry);
    const std::string_view scope = of_scope ? trimmed(entry.substr(0, equals)) : std::string_view{};
    if (!level || (of_scope && scope.empty())) {
      out.problems.emplace_back(entry);
    } else if (of_scope) {
      out.scopes.emplace_back(scope, *level);
    } else {
      out.general = *level;
    }
  });
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
