// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/finalize.hpp>

#include <optional>
#include <string>
#include <string_view>

/// Settings made final against an environment that a test writes down.
namespace finalized {

inline const otlpkit::environment nothing{[](std::string_view) { return std::nullopt; }};

inline otlpkit::sdk::configuration from(const otlpkit::settings& s, const otlpkit::environment& env = nothing) {
  return otlpkit::sdk::finalize(s, env);
}

/// The error that refuses the settings.
inline otlpkit::config_error refusal(const otlpkit::settings& s, const otlpkit::environment& env = nothing) {
  try {
    static_cast<void>(from(s, env));
  } catch (const otlpkit::config_error& error) {
    return error;
  }
  return {"nothing", "nothing", "an error"};
}

inline std::string url(const otlpkit::sdk::configuration& c, otlpkit::sdk::signal s) { return c.of(s).endpoint.text(); }

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace finalized
