// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/result.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI::db {

template <class T>
[[nodiscard]] T read_row(const row& from);

namespace detail {

template <class T>
concept record = std::is_aggregate_v<T> && !std::is_array_v<T>;

/// Converts to whatever a member wants: finds out how many members there are.
template <class Record>
struct any_member {
  template <class T>
    requires(!std::same_as<T, Record>)
  operator T() const;  // NOLINT(google-explicit-constructor) - never called, so it has no body
};

template <class Record, class... Members>
constexpr std::size_t count_members() {
  if constexpr (requires { Record{Members{}..., any_member<Record>{}}; }) {
    return count_members<Record, Members..., any_member<Record>>();
  } else {
    return sizeof...(Members);
  }
}

/// Reads the next columns into the member it is converted to; a member that is itself a record takes as many as it has.
template <class Record>
struct next_column {
  const row& from;
  std::size_t& at;

  template <class T>
    requires(!std::same_as<T, Record>)
  operator T() const;  // NOLINT(google-explicit-constructor)
};

template <class T, std::size_t... i>
[[nodiscard]] T read_members(const row& from, std::size_t& at, std::index_sequence<i...>) {
  return T{((void)i, next_column<T>{from, at})...};  // braces: from left to right
}

template <class T>
[[nodiscard]] T read_columns(const row& from, std::size_t& at) {
  if constexpr (record<T>) {
    return read_members<T>(from, at, std::make_index_sequence<count_members<T>()>{});
  } else {
    return from.get<T>(at++);
  }
}

template <class Record>
template <class T>
  requires(!std::same_as<T, Record>)
next_column<Record>::operator T() const {
  return read_columns<T>(from, at);
}

}  // namespace detail

/// Makes a T of a row. For an aggregate its members take the columns in order, a member that is an aggregate as many as it
/// has members; any other type takes the only column. Throws mapping_error when types or the number of columns differ.
template <class T>
[[nodiscard]] T read_row(const row& from) {
  std::size_t at = 0;
  T value = detail::read_columns<T>(from, at);
  if (at != from.columns()) {
    throw mapping_error{"the query returns " + std::to_string(from.columns()) + " columns, expected " + std::to_string(at)};
  }
  return value;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::db
