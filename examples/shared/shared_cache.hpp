// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/memory_cache.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

namespace shop {

/// The shared cache cannot be reached.
class cache_unavailable : public std::runtime_error {
 public:
  cache_unavailable() : std::runtime_error{"the shared cache does not answer"} {}
};

/// Stands in for a cache on the network: takes a little while, and can be told to fail.
template <class Value>
class shared_cache {
 public:
  explicit shared_cache(std::uint64_t seed) : random_{seed} {}

  [[nodiscard]] std::optional<Value> get(std::string_view key) {
    travel();
    return entries_.get(key);
  }
  void set(std::string_view key, Value content, otlpkit::cache::time_to_live ttl) {
    travel();
    entries_.set(key, std::move(content), ttl);
  }
  bool erase(std::string_view key) {
    travel();
    return entries_.erase(key);
  }

  /// From now on every call fails, or none does.
  void take_down(bool down) noexcept { down_ = down; }

 private:
  void travel() {
    std::chrono::microseconds latency{};
    {
      const std::lock_guard lock{mutex_};
      latency = std::chrono::microseconds{150 + random_() % 350};
    }
    std::this_thread::sleep_for(latency);
    if (down_) throw cache_unavailable{};
  }

  otlpkit::cache::memory_cache<Value> entries_;
  std::mutex mutex_;
  std::mt19937_64 random_;
  std::atomic<bool> down_ = false;
};

}  // namespace shop
