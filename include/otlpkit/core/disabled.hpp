// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <initializer_list>

// What remains of fields and scopes where OTLPKIT_DISABLE is defined: the same code compiles, nothing is evaluated.
namespace otlpkit::inline OTLPKIT_ABI {

struct field {
  template <class Key, class Value>
  constexpr field(const Key&, const Value&) noexcept {}
};

using fields = std::initializer_list<field>;

struct byte_view {
  const void* data = nullptr;
  decltype(sizeof(0)) size = 0;
};

class instrumentation_scope {
 public:
  template <class... Text>
  constexpr explicit instrumentation_scope(const Text&...) noexcept {}
  constexpr instrumentation_scope(const char*, const char*, const char*, fields) noexcept {}
  instrumentation_scope(const instrumentation_scope&) = delete;
  instrumentation_scope& operator=(const instrumentation_scope&) = delete;
};

namespace detail {
/// Takes what a macro was given, inside `if (false)`: checked by the compiler, never run.
template <class... T>
constexpr void ignore(const T&...) noexcept {}
constexpr void ignore_fields(fields) noexcept {}
}  // namespace detail

}  // namespace otlpkit::inline OTLPKIT_ABI

#define OTLPKIT_SCOPE(...) static_assert(true);
