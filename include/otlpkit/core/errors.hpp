// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// What messages print instead of a value that may be a secret.
inline constexpr std::string_view hidden_value = "(hidden)";

/// quoted(value, limit = 80): `value` as messages show it, in quotes, bytes outside printable ASCII as \xNN, cut after
/// `limit` bytes. Whatever the environment holds, a message stays one short line.
///
/// An object and not a function: std::quoted of <iomanip> would else be found by argument-dependent lookup.
inline constexpr auto quoted = [](std::string_view value, std::size_t limit = 80) {
  constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : value.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7E) {
      out += "\\x";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  out += '"';
  if (value.size() > limit) out += "... (" + std::to_string(value.size()) + " bytes)";
  return out;
};

/// A setting given in code that cannot be used. Thrown while telemetry is set up, never later and never by
/// instrumentation.
///
/// Values from the environment never throw: they are reported by name and ignored.
class config_error : public std::runtime_error {
 public:
  /// \param setting  the path inside `settings`, like "traces.max_queue_size"
  /// \param value    as messages may show it: quoted(), a number, or hidden_value for a secret
  /// \param expected what would have been right
  config_error(std::string setting, std::string value, std::string expected)
      : std::runtime_error{setting + ": got " + value + ", expected " + expected},
        parts_{std::make_shared<const parts>(parts{std::move(setting), std::move(value), std::move(expected)})} {}

  [[nodiscard]] const std::string& setting() const noexcept { return parts_->setting; }
  [[nodiscard]] const std::string& value() const noexcept { return parts_->value; }
  [[nodiscard]] const std::string& expected() const noexcept { return parts_->expected; }

 private:
  struct parts {
    std::string setting, value, expected;
  };
  std::shared_ptr<const parts> parts_;  // shared, so that copying the exception cannot throw
};

}  // namespace otlpkit::inline OTLPKIT_ABI
