// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/connection.hpp>
#include <otlpkit/cache/time_to_live.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// Texts in Redis as a cache: for traced_cache, or as the shared level of a tiered_cache. Its calls throw redis::error.
/// Thread-safe.
class cache_store {
 public:
  /// \param server must outlive this
  /// \param prefix before every key, such as `products:`
  explicit cache_store(connection& server, std::string prefix = {}) : server_{server}, prefix_{std::move(prefix)} {}

  [[nodiscard]] std::optional<std::string> get(std::string_view key) {
    const reply r = server_.command("GET", prefix_ + std::string{key});
    if (r.nil()) return std::nullopt;
    return std::string{r.text()};
  }

  /// A time to live of less than a millisecond counts as one.
  void set(std::string_view key, std::string_view value, cache::time_to_live ttl = {}) {
    const std::string name = prefix_ + std::string{key};
    if (ttl.forever()) {
      static_cast<void>(server_.command("SET", name, value));
    } else {
      const std::int64_t ms = std::clamp(ttl.ns() / 1'000'000, std::int64_t{1}, std::int64_t{1} << 45);
      static_cast<void>(server_.command("SET", name, value, "PX", ms));
    }
  }

  /// Whether there was something to take away.
  bool erase(std::string_view key) { return server_.command("DEL", prefix_ + std::string{key}).integer() != 0; }

 private:
  connection& server_;
  std::string prefix_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
