// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/time_to_live.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::cache {

/// Turns values into text and back: `std::string encode(const Value&)`, and `std::optional<Value> decode(text)`, which
/// is empty for text of an older or a foreign make. Called from any thread at once.
template <class C, class Value>
concept codec = requires(const C& c, const Value& v, std::string_view text) {
  { c.encode(v) } -> std::convertible_to<std::string>;
  { c.decode(text) } -> std::convertible_to<std::optional<Value>>;
};

/// A cache of values over one of texts, such as redis::cache_store. What does not decode is not there.
/// \tparam Store an lvalue reference is referred to and must live on
template <class Value, class Store, codec<Value> Codec>
class encoded_cache {
 public:
  using value_type = Value;

  explicit encoded_cache(Store&& store, Codec c = {}) : store_{std::forward<Store>(store)}, codec_{std::move(c)} {}

  [[nodiscard]] std::optional<Value> get(std::string_view key) {
    auto text = store_.get(key);
    if (!text) return std::nullopt;
    return codec_.decode(std::string_view{*text});
  }
  void set(std::string_view key, const Value& value, time_to_live ttl = {}) {
    store_.set(key, std::string{codec_.encode(value)}, ttl);
  }
  decltype(auto) erase(std::string_view key) { return store_.erase(key); }

 private:
  Store store_;
  Codec codec_;
};

/// `encoded<product>(store, product_codec{})`: an encoded_cache. An lvalue is referred to, a temporary is moved in.
template <class Value, class Store, codec<Value> Codec>
[[nodiscard]] encoded_cache<Value, Store, Codec> encoded(Store&& store, Codec c) {
  return encoded_cache<Value, Store, Codec>{std::forward<Store>(store), std::move(c)};
}

}  // namespace otlpkit::inline OTLPKIT_ABI::cache
