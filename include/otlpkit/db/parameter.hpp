// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// What stands for $1, $2, ... in a statement. Refers to text and bytes: they must live until the call returns.
/// Integers above INT64_MAX and floating-point money have no place in a database: the first does not compile, the
/// second is yours to avoid.
class parameter {
 public:
  enum class kind : std::uint8_t { null, integer, real, text, blob };

  constexpr parameter() noexcept = default;
  constexpr parameter(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)
  constexpr parameter(std::nullopt_t) noexcept {}  // NOLINT(google-explicit-constructor)

  template <class T>
  requires(std::integral<T> &&
           (std::signed_integral<T> || sizeof(T) < sizeof(std::int64_t))) constexpr parameter(T v) noexcept
      : kind_{kind::integer}, integer_{static_cast<std::int64_t>(v)} {}  // NOLINT(google-explicit-constructor)

  template <std::floating_point T>
  constexpr parameter(T v) noexcept
      : kind_{kind::real}, real_{static_cast<double>(v)} {}  // NOLINT(google-explicit-constructor)

  template <class T>
  requires(std::convertible_to<const T&, std::string_view> &&
           !std::is_null_pointer_v<T>) constexpr parameter(const T& v) noexcept
      : kind_{kind::text}, text_{v} {}  // NOLINT(google-explicit-constructor)

  constexpr parameter(byte_view v) noexcept  // NOLINT(google-explicit-constructor)
      : kind_{kind::blob}, text_{static_cast<const char*>(v.data), v.size} {}

  template <class T>
  constexpr parameter(const std::optional<T>& v) noexcept  // NOLINT(google-explicit-constructor)
      : parameter{v.has_value() ? parameter{*v} : parameter{}} {}

  [[nodiscard]] constexpr kind type() const noexcept { return kind_; }
  [[nodiscard]] constexpr std::int64_t integer() const noexcept { return integer_; }
  [[nodiscard]] constexpr double real() const noexcept { return real_; }
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }  ///< of text and blob

 private:
  kind kind_ = kind::null;
  std::int64_t integer_ = 0;
  double real_ = 0;
  std::string_view text_;
};

using parameters = std::span<const parameter>;

/// "$1, $2, $3": the places of `count` parameters from $`first` on, for `IN (...)` and VALUES lists.
[[nodiscard]] inline std::string placeholders(std::size_t count, std::size_t first = 1) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    out += '$';
    out += std::to_string(first + i);
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::db
