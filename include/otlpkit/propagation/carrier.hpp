// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/propagation/text.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

// A carrier is whatever holds the headers of a message. As it is, taken are:
//
// - Beast's fields, requests and responses;
// - maps and lists of pairs of text: std::map, std::multimap, std::unordered_map, std::vector<std::pair<...>>;
// - your own type with `get(name)` to read and `set(name, value)` to write. get() returns text, an optional or a
// pointer
//   to text; empty or null is no header. A type that can hold a name twice also has `get_all(name, each)`, which calls
//   each(value) in the order of the message; one that can be walked has `for_each(each)`, which calls each(name,
//   value);
// - a callable: `(name) -> text` to read, `(name, value)` to write.
//
// Names are passed in the writing of their standard. Reading must not mind the case: maps and Beast do not.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Stands for any function in the requirements below.
struct any_callback {
  template <class... Arguments>
  void operator()(Arguments&&...) const noexcept {}
};

template <class T>
concept text_value = std::convertible_to<const T&, std::string_view> && !std::is_null_pointer_v<T>;

template <class T>
concept maybe_text = text_value<T> || requires(const T& v) {
  static_cast<bool>(v);
  { *v } -> std::convertible_to<std::string_view>;
};

template <class C>
concept has_get = requires(const C& c, std::string_view name) {
  { c.get(name) } -> maybe_text;
};
template <class C>
concept has_get_all = requires(const C& c, std::string_view name) {
  c.get_all(name, any_callback{});
};
template <class C>
concept has_for_each = requires(const C& c) {
  c.for_each(any_callback{});
};
template <class C>
concept has_set = requires(C& c, std::string_view text) {
  c.set(text, text);
};
template <class C>
concept callable_reader = requires(const C& c, std::string_view name) {
  { c(name) } -> maybe_text;
};
template <class C>
concept callable_writer = requires(C& c, std::string_view text) {
  c(text, text);
};

/// Beast's fields, told by their shape so that light headers need not know Beast.
template <class C>
concept beast_fields = requires(const C& c, std::string_view name) {
  { c.equal_range(name).first->value() } -> std::convertible_to<std::string_view>;
  { c.begin()->name_string() } -> std::convertible_to<std::string_view>;
};

template <class C>
concept pair_range = requires(const C& c) {
  { c.begin()->first } -> std::convertible_to<std::string_view>;
  { c.begin()->second } -> std::convertible_to<std::string_view>;
  c.end();
};

/// Gives what a get() returned to `each`, unless it is nothing.
template <class T, class Each>
void give(const T& found, Each& each) {
  if constexpr (std::is_pointer_v<T> && std::is_convertible_v<T, const char*>) {
    if (found != nullptr) each(std::string_view{found});
  } else if constexpr (text_value<T>) {
    if (const std::string_view text{found}; !text.empty()) each(text);
  } else {
    if (static_cast<bool>(found)) each(static_cast<std::string_view>(*found));
  }
}

/// Calls each(value) for every header called `name`, in their order. A value is valid during its call.
template <class C, class Each>
void for_each_value(const C& carrier, std::string_view name, Each&& each) {
  if constexpr (has_get_all<C>) {
    carrier.get_all(name, each);
  } else if constexpr (beast_fields<C>) {
    const auto range = carrier.equal_range(name);
    for (auto it = range.first; it != range.second; ++it) each(static_cast<std::string_view>(it->value()));
  } else if constexpr (has_get<C>) {
    give(carrier.get(name), each);
  } else if constexpr (pair_range<C>) {
    for (const auto& [key, value] : carrier) {
      if (same_name(key, name)) each(static_cast<std::string_view>(value));
    }
  } else {
    give(carrier(name), each);
  }
}

/// Whether for_each_header() sees all there is.
template <class C>
concept walkable = has_for_each<C> || beast_fields<C> || pair_range<C>;

/// Calls each(name, value) for every header; nothing for a carrier that cannot be walked.
template <class C, class Each>
void for_each_header(const C& carrier, Each&& each) {
  if constexpr (has_for_each<C>) {
    carrier.for_each(each);
  } else if constexpr (beast_fields<C>) {
    for (const auto& f : carrier) {
      each(static_cast<std::string_view>(f.name_string()), static_cast<std::string_view>(f.value()));
    }
  } else if constexpr (pair_range<C>) {
    for (const auto& [key, value] : carrier) {
      each(static_cast<std::string_view>(key), static_cast<std::string_view>(value));
    }
  }
}

/// Sets the header `name`, in place of those there are by this name in any case.
template <class C>
void set_header(C& carrier, std::string_view name, std::string_view value) {
  if constexpr (has_set<C>) {
    carrier.set(name, value);
  } else if constexpr (callable_writer<C>) {
    carrier(name, value);
  } else {
    using mapped = std::remove_cvref_t<decltype(carrier.begin()->second)>;
    bool done = false;
    for (auto it = carrier.begin(); it != carrier.end();) {
      if (!same_name(it->first, name)) {
        ++it;
      } else if (!done) {
        it->second = mapped{value};
        done = true;
        ++it;
      } else {
        it = carrier.erase(it);
      }
    }
    if (done) return;
    using key = std::remove_cvref_t<decltype(carrier.begin()->first)>;
    if constexpr (requires { carrier.emplace_back(key{name}, mapped{value}); }) {
      carrier.emplace_back(key{name}, mapped{value});
    } else {
      carrier.emplace(key{name}, mapped{value});
    }
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail

namespace otlpkit::inline OTLPKIT_ABI {

/// What headers can be read from.
template <class C>
concept carrier_reader = detail::has_get_all<C> || detail::beast_fields<C> || detail::has_get<C> ||
    detail::pair_range<C> || detail::callable_reader<C>;

/// What headers can be written to.
template <class C>
concept carrier_writer = detail::has_set<C> || detail::callable_writer<C> || detail::pair_range<C>;

}  // namespace otlpkit::inline OTLPKIT_ABI
