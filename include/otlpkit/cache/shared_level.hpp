// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/time_to_live.hpp>

#include <optional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::cache {

/// Stands for the second level where there is none.
struct no_shared_cache {};

/// A cache that a tiered cache can have as its second level: get(key) returns what is true when there is a value and
/// then gives it by `*`, set(key, value, time_to_live) keeps it, erase(key) takes it away. All three may throw. They
/// are called from any thread at once, and for an awaitable cache may return awaitables of the same.
template <class C, class Value>
concept shared_level = requires(std::remove_reference_t<C>& c, std::string_view key, const Value& v) {
  c.get(key);
  c.set(key, v, time_to_live{});
  c.erase(key);
};

namespace detail {

template <class Shared>
inline constexpr bool has_shared = !std::is_same_v<std::remove_cvref_t<Shared>, no_shared_cache>;

/// The value in what a cache's get() returned. An expected-like result with an error is an exception.
template <class Value, class Result>
[[nodiscard]] std::optional<Value> value_in(Result&& found) {
  if constexpr (requires {
                  found.has_value();
                  found.error();
                }) {
    if (!found.has_value()) throw std::runtime_error{"the shared cache returned an error"};
    if constexpr (std::is_constructible_v<std::optional<Value>, decltype(*std::forward<Result>(found))>)
      return std::optional<Value>(*std::forward<Result>(found));
    else
      return value_in<Value>(*std::forward<Result>(found));
  } else {
    if (!found) return std::nullopt;
    return std::optional<Value>(*std::forward<Result>(found));
  }
}

/// What a loader returned, as a value that may not exist.
template <class Value, class Result>
[[nodiscard]] std::optional<Value> loaded_value(Result&& r) {
  return std::optional<Value>(std::forward<Result>(r));
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::cache
