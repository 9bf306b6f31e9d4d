// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/memory_cache.hpp>
#include <otlpkit/cache/tiered_cache.hpp>

#include "resilience/recorded.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;
using otlpkit::cache::lookup_level;
using otlpkit::cache::lookup_outcome;
using otlpkit::cache::memory_cache;
using otlpkit::cache::tiered_cache;
using otlpkit::cache::tiered_cache_options;
using otlpkit::cache::time_to_live;

inline std::atomic<std::uint64_t> time_now{1'000'000'000};
inline std::uint64_t manual_now() noexcept { return time_now; }
inline void pass(std::chrono::nanoseconds d) { time_now += static_cast<std::uint64_t>(d.count()); }

/// A shared cache that can be taken down.
template <class Value>
struct shared_cache {
  memory_cache<Value> entries{{.now = &manual_now}};
  std::atomic<bool> down{false};
  std::function<void()> before_set{};
  std::function<void()> before_erase{};  ///< once

  std::optional<Value> get(std::string_view key) {
    check();
    return entries.get(key);
  }
  void set(std::string_view key, const Value& v, time_to_live ttl) {
    check();
    if (before_set) before_set();
    entries.set(key, v, ttl);
  }
  bool erase(std::string_view key) {
    check();
    if (before_erase) std::exchange(before_erase, {})();
    return entries.erase(key);
  }
  void check() const {
    if (down) throw std::runtime_error{"the shared cache does not answer"};
  }
};

[[noreturn]] inline int fail() { throw std::runtime_error{"the database does not answer"}; }

inline tiered_cache_options plain(std::string name) {
  return {.name = std::move(name), .ttl = 10s, .shared_ttl = 100s, .jitter = 0, .now = &manual_now};
}

/// A value whose copies run out of memory when told to. It is copied where others are moved.
struct fragile {
  static inline int copies_left = -1;  ///< -1: no end of them
  int number = 0;

  explicit fragile(int n) noexcept : number{n} {}
  fragile(const fragile& other) { *this = other; }
  // Out of line, or g++ 12 warns of an optional that is empty: its value may be used uninitialised.
  [[gnu::noinline]] fragile& operator=(const fragile& other) {
    if (copies_left == 0) throw std::bad_alloc{};
    if (copies_left > 0) --copies_left;
    number = other.number;
    return *this;
  }
};
