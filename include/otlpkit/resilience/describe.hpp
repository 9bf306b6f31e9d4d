// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

/// A number without needless zeros: `0.5`, `100`.
[[nodiscard]] inline std::string text_of(double v) {
  std::string text = std::to_string(v);
  if (text.find('.') == text.npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

/// A duration in the largest unit it is at least one of: `200 ms`, `1.5 s`, `2 min`.
[[nodiscard]] inline std::string text_of(std::chrono::nanoseconds d) {
  constexpr std::pair<long long, std::string_view> units[] = {
      {3'600'000'000'000, " h"}, {60'000'000'000, " min"}, {1'000'000'000, " s"}, {1'000'000, " ms"}, {1'000, " us"}};
  for (const auto& [size, name] : units) {
    if (d.count() >= size) return text_of(static_cast<double>(d.count()) / static_cast<double>(size)).append(name);
  }
  return std::to_string(d.count()) + " ns";
}

/// Throws config_error unless `ok`.
/// \param setting such as "retry_options.delay"
template <class T>
void check_setting(bool ok, const char* setting, const T& value, const char* expected) {
  if (ok) return;
  if constexpr (requires { text_of(value); }) {
    throw config_error{setting, text_of(value), expected};
  } else {
    throw config_error{setting, std::to_string(value), expected};
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
