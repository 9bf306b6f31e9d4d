// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/time_to_live.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/platform.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::cache {

/// What a tiered cache is called, how long it keeps what, and whom it lets wait.
struct tiered_cache_options {
  std::string name = "default";                ///< in span names and otlpkit.cache.name; one of its own for each cache
  std::size_t max_entries = 10'000;            ///< of L1, the least recently used goes first
  std::size_t max_key_bytes = 1024;            ///< a longer key is not kept, and its lookup goes past the cache
  time_to_live ttl = std::chrono::minutes{1};  ///< in L1
  time_to_live shared_ttl = std::chrono::minutes{10};   ///< in L2
  time_to_live negative_ttl = std::chrono::seconds{0};  ///< how long L1 knows that a value does not exist; 0: not
  /// Lifetimes are shortened at random by up to this share, so that what came together does not end together. [0, 1)
  double jitter = 0.1;
  /// From this share of the lifetime on, a lookup refreshes the value while others still get it. [0, 1); 0: never
  double refresh_ahead = 0;
  time_to_live grace = std::chrono::seconds{0};  ///< how long after its time a value is given out if loading fails
  time_to_live retry_pause = std::chrono::seconds{1};  ///< how long the loader is left alone then
  time_to_live max_wait = std::chrono::seconds{30};    ///< for another's load; then a lookup loads for itself
  /// Runs refreshes of a blocking cache: gives the function to a thread pool. Empty: the lookup that finds the value
  /// due refreshes it itself. Awaitable caches run refreshes as detached tasks.
  std::function<void(std::function<void()>)> background = {};
  bool record_key_hash = false;  ///< otlpkit.cache.key_hash on spans: a guessed key can be recognised by it
  std::uint64_t (*now)() noexcept = &platform::steady_ns;  ///< nanoseconds of a clock that never goes back
  std::uint64_t (*random)() noexcept = nullptr;            ///< for the jitter; nullptr: one of the cache's own
};

namespace detail {

inline void check(const tiered_cache_options& o) {
  const auto share = [](const char* setting, double v) {
    if (!(v >= 0 && v < 1)) throw config_error{setting, std::to_string(v), "a share of at least 0 and below 1"};
  };
  share("tiered_cache_options.jitter", o.jitter);
  share("tiered_cache_options.refresh_ahead", o.refresh_ahead);
  if (o.now == nullptr) throw config_error{"tiered_cache_options.now", "nullptr", "a clock"};
}

/// SplitMix64 (Steele, Lea, Flood 2014), shared by all threads: good enough to spread lifetimes.
[[nodiscard]] inline std::uint64_t any_random() noexcept {
  static platform::atomic<std::uint64_t> state{platform::steady_ns()};
  std::uint64_t z = state.fetch_add(0x9E3779B97F4A7C15u, platform::relaxed);
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

/// FNV-1a, as hexadecimal digits.
[[nodiscard]] inline std::string key_hash(std::string_view key) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (const char c : key) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; h >>= 4) out[i] = "0123456789abcdef"[h & 15];
  return out;
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::cache
