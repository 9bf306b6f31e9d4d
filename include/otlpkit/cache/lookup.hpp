// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::cache {

/// How a lookup ended; its text is `otlpkit.cache.outcome`.
enum class lookup_outcome : std::uint8_t {
  hit,       ///< a cache had the value
  miss,      ///< no cache had it: it was loaded, or the loader found that it does not exist
  stale,     ///< loading failed, and a value past its time was given out
  refresh,   ///< the value was there, and this lookup set a refresh ahead of its end going
  negative,  ///< the cache knows that the value does not exist
  bypass,    ///< loaded past the cache: the key is too long, or waiting for another's load was over
  error,     ///< loading failed
};

/// Where the answer came from; its text is `otlpkit.cache.level`.
enum class lookup_level : std::uint8_t {
  l1,  ///< in the process
  l2,  ///< the shared cache
  l3,  ///< the loader
};

[[nodiscard]] constexpr std::string_view to_string(lookup_outcome o) noexcept {
  switch (o) {
    case lookup_outcome::hit: return "hit";
    case lookup_outcome::miss: return "miss";
    case lookup_outcome::stale: return "stale";
    case lookup_outcome::refresh: return "refresh";
    case lookup_outcome::negative: return "negative";
    case lookup_outcome::bypass: return "bypass";
    case lookup_outcome::error: return "error";
  }
  return "unknown";
}

[[nodiscard]] constexpr std::string_view to_string(lookup_level l) noexcept {
  switch (l) {
    case lookup_level::l1: return "L1";
    case lookup_level::l2: return "L2";
    case lookup_level::l3: return "L3";
  }
  return "unknown";
}

/// What a tiered cache found: the value, if there is one, and how it came.
template <class Value>
class lookup {
 public:
  lookup(std::optional<Value> value, lookup_outcome outcome, lookup_level level, bool shared_flight = false,
         std::int64_t age_ns = 0)
      : value_{std::move(value)}, age_ns_{age_ns}, outcome_{outcome}, level_{level}, shared_flight_{shared_flight} {}

  [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
  [[nodiscard]] explicit operator bool() const noexcept { return value_.has_value(); }
  /// Only where there is a value.
  [[nodiscard]] const Value& operator*() const& noexcept { return *value_; }
  [[nodiscard]] Value& operator*() & noexcept { return *value_; }
  [[nodiscard]] Value&& operator*() && noexcept { return *std::move(value_); }
  [[nodiscard]] const Value* operator->() const noexcept { return &*value_; }
  /// The value; throws std::bad_optional_access where there is none.
  [[nodiscard]] const Value& value() const& { return value_.value(); }
  [[nodiscard]] Value&& value() && { return std::move(value_).value(); }
  [[nodiscard]] const std::optional<Value>& optional() const& noexcept { return value_; }
  [[nodiscard]] std::optional<Value>&& optional() && noexcept { return std::move(value_); }

  [[nodiscard]] lookup_outcome outcome() const noexcept { return outcome_; }
  [[nodiscard]] lookup_level level() const noexcept { return level_; }
  /// Whether another lookup of the same key did the work, and this one waited for it.
  [[nodiscard]] bool shared_flight() const noexcept { return shared_flight_; }
  /// Nanoseconds since the value came into this process; 0 for one that came just now.
  [[nodiscard]] std::int64_t age_ns() const noexcept { return age_ns_; }

 private:
  std::optional<Value> value_;
  std::int64_t age_ns_;
  lookup_outcome outcome_;
  lookup_level level_;
  bool shared_flight_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::cache
