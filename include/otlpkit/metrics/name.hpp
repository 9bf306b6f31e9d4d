// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstring>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// Whether `name` can be an instrument's: an ASCII letter, then up to 254 of letters, digits and `_` `.` `-` `/`
/// (OpenTelemetry specification, metrics API, instrument name syntax).
[[nodiscard]] constexpr bool is_instrument_name(std::string_view name) noexcept {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (name.empty() || name.size() > 255 || !letter(name[0])) return false;
  for (const char c : name) {
    if (!letter(c) && !(c >= '0' && c <= '9') && c != '_' && c != '.' && c != '-' && c != '/') return false;
  }
  return true;
}

/// Names of instruments are equal whatever the case of their letters.
[[nodiscard]] constexpr bool same_instrument_name(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

namespace detail {

/// Puts a diagnostic together without <string>; what does not fit is cut off.
class short_message {
 public:
  short_message& operator<<(std::string_view part) noexcept {
    const std::size_t room = sizeof text_ - size_;
    const std::size_t size = part.size() < room ? part.size() : room;
    if (size != 0) std::memcpy(text_ + size_, part.data(), size);
    size_ += size;
    return *this;
  }
  [[nodiscard]] std::string_view view() const noexcept { return {text_, size_}; }

 private:
  char text_[640];
  std::size_t size_ = 0;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
