// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/db/errors.hpp>
#include <otlpkit/db/parameter.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// A value in a row.
struct cell {
  parameter::kind type = parameter::kind::null;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;  ///< of text and blob
};

namespace detail {
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

[[nodiscard]] constexpr std::string_view name_of(parameter::kind k) noexcept {
  constexpr std::string_view names[] = {"NULL", "an integer", "a floating-point number", "text", "bytes"};
  return names[static_cast<std::size_t>(k)];
}
}  // namespace detail

/// All rows a query returned: a copy, which outlives statement and connection. Adapters fill it.
class result {
 public:
  explicit result(std::vector<std::string> columns = {}) : columns_{std::move(columns)} {}

  void append(cell c) { cells_.push_back(std::move(c)); }

  [[nodiscard]] std::size_t columns() const noexcept { return columns_.size(); }
  [[nodiscard]] std::string_view column_name(std::size_t column) const noexcept { return columns_[column]; }
  [[nodiscard]] std::size_t size() const noexcept { return columns_.empty() ? 0 : cells_.size() / columns_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] const cell& at(std::size_t row, std::size_t column) const noexcept {
    return cells_[row * columns_.size() + column];
  }

 private:
  std::vector<std::string> columns_;
  std::vector<cell> cells_;  // row after row
};

/// One row of a result, which must live longer.
class row {
 public:
  row(const result& in, std::size_t number) noexcept : result_{&in}, number_{number} {}

  [[nodiscard]] std::size_t columns() const noexcept { return result_->columns(); }

  /// The value of a column: an integer type, bool, a floating-point type, std::string, or an optional of these. Throws
  /// mapping_error when it is of another type, does not fit, or is NULL and T no optional.
  template <class T>
  [[nodiscard]] T get(std::size_t column) const {
    if (column >= columns())
      throw mapping_error{"column " + std::to_string(column) + " of a row of " + std::to_string(columns())};
    const cell& c = result_->at(number_, column);
    if constexpr (detail::is_optional<T>) {
      if (c.type == parameter::kind::null) return std::nullopt;
      return get<typename T::value_type>(column);
    } else if constexpr (std::same_as<T, bool>) {
      if (c.type == parameter::kind::integer && (c.integer == 0 || c.integer == 1)) return c.integer != 0;
      throw unfit(column, "a boolean");
    } else if constexpr (std::integral<T>) {
      if (c.type == parameter::kind::integer && std::in_range<T>(c.integer)) return static_cast<T>(c.integer);
      throw unfit(column, "an integer of " + std::to_string(sizeof(T)) + " bytes");
    } else if constexpr (std::floating_point<T>) {
      if (c.type == parameter::kind::real) return static_cast<T>(c.real);
      if (c.type == parameter::kind::integer) return static_cast<T>(c.integer);
      throw unfit(column, "a number");
    } else {
      static_assert(std::same_as<T, std::string>,
                    "otlpkit: columns are read as integers, bool, floating point, std::string or optionals of these");
      if (c.type == parameter::kind::text || c.type == parameter::kind::blob) return c.text;
      throw unfit(column, "text");
    }
  }

 private:
  [[nodiscard]] mapping_error unfit(std::size_t column, const std::string& wanted) const {
    const cell& c = result_->at(number_, column);
    std::string got{detail::name_of(c.type)};
    if (c.type == parameter::kind::integer) got = "the integer " + std::to_string(c.integer);
    return mapping_error{"column " + std::string{result_->column_name(column)} + ": got " + got + ", expected " +
                         wanted};
  }

  const result* result_;
  std::size_t number_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db
