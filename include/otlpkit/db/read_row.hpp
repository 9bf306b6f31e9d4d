// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/result.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI::db {

namespace detail {

template <class T>
concept record = std::is_aggregate_v<T> && !std::is_array_v<T>;

/// Converts to whatever a member wants: finds out how many members there are.
template <class Record>
struct any_member {
  template <class T>
  requires(!std::same_as<T, Record>) operator T()
      const {  // NOLINT(google-explicit-constructor) - never called: only its type is asked for
    throw mapping_error{"any_member is no value"};
  }
};

template <class Record, class... Members>
constexpr std::size_t count_members() {
  if constexpr (requires { Record{Members{}..., any_member<Record>{}}; }) {
    return count_members<Record, Members..., any_member<Record>>();
  } else {
    return sizeof...(Members);
  }
}

/// Calls `fn` with references to all members of `value`.
template <std::size_t count, class Record, class F>
void with_members(Record& value, F&& fn) {
  static_assert(count >= 1 && count <= 16,
                "otlpkit: a row is read into a struct of one to sixteen members; use query_with() for others");
  if constexpr (count == 1) {
    auto& [a] = value;
    fn(a);
  } else if constexpr (count == 2) {
    auto& [a, b] = value;
    fn(a, b);
  } else if constexpr (count == 3) {
    auto& [a, b, c] = value;
    fn(a, b, c);
  } else if constexpr (count == 4) {
    auto& [a, b, c, d] = value;
    fn(a, b, c, d);
  } else if constexpr (count == 5) {
    auto& [a, b, c, d, e] = value;
    fn(a, b, c, d, e);
  } else if constexpr (count == 6) {
    auto& [a, b, c, d, e, f] = value;
    fn(a, b, c, d, e, f);
  } else if constexpr (count == 7) {
    auto& [a, b, c, d, e, f, g] = value;
    fn(a, b, c, d, e, f, g);
  } else if constexpr (count == 8) {
    auto& [a, b, c, d, e, f, g, h] = value;
    fn(a, b, c, d, e, f, g, h);
  } else if constexpr (count == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = value;
    fn(a, b, c, d, e, f, g, h, i);
  } else if constexpr (count == 10) {
    auto& [a, b, c, d, e, f, g, h, i, j] = value;
    fn(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (count == 11) {
    auto& [a, b, c, d, e, f, g, h, i, j, k] = value;
    fn(a, b, c, d, e, f, g, h, i, j, k);
  } else if constexpr (count == 12) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l] = value;
    fn(a, b, c, d, e, f, g, h, i, j, k, l);
  } else if constexpr (count == 13) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = value;
    fn(a, b, c, d, e, f, g, h, i, j, k, l, m);
  } else if constexpr (count == 14) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = value;
    fn(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
  } else if constexpr (count == 15) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = value;
    fn(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
  } else if constexpr (count == 16) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = value;
    fn(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
  }
}

/// Reads the next columns into `value`; a record takes as many as it has members.
template <class T>
void read_columns(const row& from, std::size_t& at, T& value) {
  if constexpr (record<T>) {
    with_members<count_members<T>()>(value, [&](auto&... members) { (read_columns(from, at, members), ...); });
  } else {
    value = from.get<T>(at++);
  }
}

}  // namespace detail

/// Makes a T of a row. For an aggregate its members take the columns in order, a member that is an aggregate as many as
/// it has members; any other type takes the only column. Throws mapping_error when types or the number of columns
/// differ.
template <class T>
[[nodiscard]] T read_row(const row& from) {
  std::size_t at = 0;
  T value{};
  detail::read_columns(from, at, value);
  if (at != from.columns()) {
    throw mapping_error{"the query returns " + std::to_string(from.columns()) + " columns, expected " +
                        std::to_string(at)};
  }
  return value;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::db
