// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/trace/observed_call.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::cache {

/// Anything with get, set and erase. get() returns what is true when there is a value: an optional, a pointer, an
/// expected.
template <class C>
concept cache_like = requires(std::remove_reference_t<C>& c, std::string_view key) {
  c.get(key);
  c.erase(key);
};

/// What a traced_cache is called and what it does when the cache fails.
struct traced_cache_options {
  std::string name = "default";  ///< in span names and otlpkit.cache.name; of low cardinality
  /// Off: exceptions are recorded and passed on. On: they are recorded and end here, as a miss for get() and as nothing
  /// done for set() and erase(), so that the program goes on without the cache.
  bool tolerate_errors = false;
};

namespace detail {

inline constinit const counter<std::int64_t> cache_lookups{
    "otlpkit.cache.lookups", {.unit = "{lookup}", .description = "Values asked for, by whether the cache had them"}};

/// One call on a cache: its span, and what is said of the outcome.
struct cache_operation {
  std::string_view span_name;  ///< "cache.get products"
  const traced_cache_options& options;
  bool lookup;

  [[nodiscard]] span_guard start() const { return span_guard{span_name, {{"otlpkit.cache.name", options.name}}}; }

  template <class Result>
  void succeeded(span& s, const Result& result) const noexcept {
    if constexpr (otlpkit::detail::expected_like<Result>) {
      otlpkit::detail::record_result(s, result);
      if (!result.has_value()) return outcome(s, "error");
      if constexpr (requires { static_cast<bool>(*result); }) {
        return outcome(s, static_cast<bool>(*result) ? "hit" : "miss");
      } else {
        return outcome(s, "hit");
      }
    } else if constexpr (requires { static_cast<bool>(result); }) {
      outcome(s, static_cast<bool>(result) ? "hit" : "miss");
    } else {
      outcome(s, "hit");
    }
  }
  void succeeded(span&) const noexcept {}

  [[nodiscard]] bool failed(span& s) const noexcept {
    record_current_exception(s);
    outcome(s, "error");
    return options.tolerate_errors;
  }

 private:
  void outcome(span& s, std::string_view what) const noexcept {
    s.set("otlpkit.cache.outcome", what);
    if (lookup) cache_lookups.add(1, {{"otlpkit.cache.name", options.name}, {"otlpkit.cache.outcome", what}});
  }
};

}  // namespace detail

/// A cache whose calls are spans, `cache.get NAME` and so on, with hit or miss and failures, and whose lookups are
/// counted. Returns what the wrapped cache returns; as thread-safe as that.
///
/// \code
/// otlpkit::cache::memory_cache<product> memory;
/// otlpkit::cache::traced_cache products{memory, {.name = "products"}};   // refers to `memory`; a temporary is moved
/// in \endcode
template <cache_like Cache>
class traced_cache {
 public:
  explicit traced_cache(Cache&& wrapped, traced_cache_options options = {})
      : cache_{std::forward<Cache>(wrapped)}, options_{std::move(options)}, get_{"cache.get " + options_.name},
        set_{"cache.set " + options_.name}, erase_{"cache.erase " + options_.name} {}

  template <class Key>
  decltype(auto) get(const Key& key) {
    return otlpkit::detail::observe(operation(get_, true), [&]() -> decltype(auto) { return cache_.get(key); });
  }

  /// Passes on whatever the wrapped cache's set() takes: mostly key, value and time to live.
  template <class Key, class... Rest>
  decltype(auto) set(const Key& key, Rest&&... rest) {
    return otlpkit::detail::observe(operation(set_, false),
                                    [&]() -> decltype(auto) { return cache_.set(key, std::forward<Rest>(rest)...); });
  }

  template <class Key>
  decltype(auto) erase(const Key& key) {
    return otlpkit::detail::observe(operation(erase_, false), [&]() -> decltype(auto) { return cache_.erase(key); });
  }

  [[nodiscard]] std::string_view name() const noexcept { return options_.name; }

  /// The cache itself, for what is not traced.
  [[nodiscard]] std::remove_reference_t<Cache>& wrapped() noexcept { return cache_; }

 private:
  [[nodiscard]] detail::cache_operation operation(std::string_view span_name, bool lookup) const noexcept {
    return {span_name, options_, lookup};
  }

  Cache cache_;
  traced_cache_options options_;
  std::string get_, set_, erase_;  // the spans' names, put together once
};

template <class Cache>
traced_cache(Cache&&) -> traced_cache<Cache>;
template <class Cache>
traced_cache(Cache&&, traced_cache_options) -> traced_cache<Cache>;

}  // namespace otlpkit::inline OTLPKIT_ABI::cache
