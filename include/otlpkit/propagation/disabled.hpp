// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/disabled.hpp>

#include <initializer_list>
#include <string_view>

// Propagation where OTLPKIT_DISABLE is defined: nothing is read, carried or sent.
namespace otlpkit::inline OTLPKIT_ABI {

struct baggage_entry {
  std::string_view key;
  std::string_view value;
  std::string_view metadata;
};

class baggage {
 public:
  [[nodiscard]] constexpr bool empty() const noexcept { return true; }
  [[nodiscard]] constexpr decltype(sizeof(0)) size() const noexcept { return 0; }
  [[nodiscard]] constexpr const baggage_entry* begin() const noexcept { return nullptr; }
  [[nodiscard]] constexpr const baggage_entry* end() const noexcept { return nullptr; }
  [[nodiscard]] constexpr baggage_entry find(std::string_view) const noexcept { return {}; }
  [[nodiscard]] constexpr bool contains(std::string_view) const noexcept { return false; }
  [[nodiscard]] constexpr std::string_view get(std::string_view) const noexcept { return {}; }
  [[nodiscard]] constexpr baggage with(std::string_view, std::string_view, std::string_view = {}) const noexcept {
    return {};
  }
  [[nodiscard]] constexpr baggage without(std::string_view) const noexcept { return {}; }
};

[[nodiscard]] constexpr baggage current_baggage() noexcept { return {}; }

class [[nodiscard]] baggage_scope {
 public:
  constexpr explicit baggage_scope(const baggage&) noexcept {}
  baggage_scope(const baggage_scope&) = delete;
  baggage_scope& operator=(const baggage_scope&) = delete;
  constexpr ~baggage_scope() {}  // not trivial: one that is only there to live is no unused variable
};

enum class propagator : unsigned char { tracecontext = 1, baggage, b3, b3multi, jaeger };

struct remote_context {
  span_context span;
  otlpkit::baggage baggage;
  [[nodiscard]] constexpr bool valid() const noexcept { return false; }
};

class propagators {
 public:
  constexpr propagators() noexcept = default;
  constexpr propagators(std::initializer_list<propagator>) noexcept {}
  constexpr void add(propagator) noexcept {}
  [[nodiscard]] constexpr bool empty() const noexcept { return true; }
  friend constexpr bool operator==(const propagators&, const propagators&) = default;
  template <class C>
  constexpr void inject(C&&) const noexcept {}
  template <class C>
  constexpr void inject(C&&, const span_context&, const baggage&) const noexcept {}
  template <class C>
  [[nodiscard]] constexpr remote_context extract(const C&) const noexcept {
    return {};
  }
  template <class Each>
  constexpr void fields(const Each&) const noexcept {}
  [[nodiscard]] static constexpr propagators standard() noexcept { return {}; }
};

[[nodiscard]] constexpr propagators current_propagators() noexcept { return {}; }
constexpr propagators set_propagators(propagators) noexcept { return {}; }

template <class C>
constexpr void inject(C&&) noexcept {}
template <class C>
constexpr void inject(C&&, const span_context&, const baggage& = {}) noexcept {}
template <class C>
[[nodiscard]] constexpr remote_context extract(const C&) noexcept {
  return {};
}

class [[nodiscard]] remote_scope {
 public:
  constexpr explicit remote_scope(const remote_context&) noexcept {}
  remote_scope(const remote_scope&) = delete;
  remote_scope& operator=(const remote_scope&) = delete;
  constexpr ~remote_scope() {}
};

class baggage_filter {
 public:
  constexpr baggage_filter(std::initializer_list<std::string_view>) noexcept {}
  [[nodiscard]] constexpr bool operator()(std::string_view) const noexcept { return false; }
};
template <class Filter>
constexpr void record_baggage(span&, const Filter&) noexcept {}

}  // namespace otlpkit::inline OTLPKIT_ABI
