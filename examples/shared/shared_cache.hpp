// SPDX-License-Identifier: MIT
#pragma once

#include "shared/json.hpp"

#include <otlpkit/cache/time_to_live.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace shop {

/// The shared cache cannot be reached.
class cache_unavailable : public std::runtime_error {
 public:
  cache_unavailable() : std::runtime_error{"the shared cache does not answer"} {}
};

/// Texts in a cache on the network: the Redis server that REDIS_URL=redis://... names, or a stand-in in this process
/// that takes a little while for each call. What one object keeps no other sees, and it is gone with the object. From
/// any thread.
class shared_texts {
 public:
  /// \param seed of the stand-in's latencies. Throws std::runtime_error for a REDIS_URL that cannot be used.
  explicit shared_texts(std::uint64_t seed);
  ~shared_texts();
  shared_texts(const shared_texts&) = delete;
  shared_texts& operator=(const shared_texts&) = delete;

  [[nodiscard]] std::optional<std::string> get(std::string_view key);
  void set(std::string_view key, std::string_view text, otlpkit::cache::time_to_live ttl);
  bool erase(std::string_view key);

  /// From now on every call fails with cache_unavailable, or none does.
  void take_down(bool down) noexcept { down_ = down; }

 private:
  struct places;
  template <class Call>
  auto there(Call call);

  std::unique_ptr<places> places_;
  std::atomic<bool> down_ = false;
};

/// Values in a cache that many processes share, as JSON: of any struct with BOOST_DESCRIBE_STRUCT.
template <class Value>
class shared_cache {
 public:
  explicit shared_cache(std::uint64_t seed) : texts_{seed} {}

  [[nodiscard]] std::optional<Value> get(std::string_view key) {
    const auto text = texts_.get(key);
    if (!text) return std::nullopt;
    return from_json<Value>(*text);
  }
  void set(std::string_view key, const Value& content, otlpkit::cache::time_to_live ttl) {
    texts_.set(key, to_json(content), ttl);
  }
  bool erase(std::string_view key) { return texts_.erase(key); }

  /// From now on every call fails with cache_unavailable, or none does.
  void take_down(bool down) noexcept { texts_.take_down(down); }

 private:
  shared_texts texts_;
};

}  // namespace shop
