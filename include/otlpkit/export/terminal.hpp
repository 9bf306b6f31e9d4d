// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/platform_host.hpp>

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// What text on a stream may look like.
struct terminal_traits {
  bool colour = false;
  std::size_t width = 0;  ///< columns, 0: no limit

  /// Of standard output or error, from whether it is a terminal, its size, and the variables NO_COLOR
  /// (https://no-color.org: set and not empty means none), TERM=dumb and COLUMNS. A file or a pipe gets whole lines and
  /// no colours.
  [[nodiscard]] static terminal_traits of(std::FILE* stream) noexcept { return of(platform_host::stream(stream)); }
  [[nodiscard]] static terminal_traits of(const platform_host::stream_facts& facts) noexcept {
    const auto variable = [](const char* name) {
      const char* value = std::getenv(name);
      return std::string_view{value == nullptr ? "" : value};
    };
    terminal_traits t;
    t.colour = facts.terminal && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
    t.width = facts.columns;
    const std::string_view columns = variable("COLUMNS");
    std::size_t asked = 0;
    const auto [end, error] = std::from_chars(columns.data(), columns.data() + columns.size(), asked);
    if (error == std::errc{} && end == columns.data() + columns.size() && asked >= 20 && asked <= 10'000)
      t.width = asked;
    return t;
  }
};

using platform_host::write_patiently;

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
