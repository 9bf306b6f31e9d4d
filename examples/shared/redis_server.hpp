// SPDX-License-Identifier: MIT
#pragma once

#if __has_include(<hiredis/hiredis.h>)
#define SHOP_HAS_REDIS 1
#include <otlpkit/adapters/redis.hpp>
#endif

#include <string>
#include <string_view>

namespace shop {

/// Whether REDIS_URL names a server. Throws std::runtime_error if it does and this was built without hiredis.
[[nodiscard]] bool redis_wanted();

#ifdef SHOP_HAS_REDIS

/// A part of the server that REDIS_URL names: a connection, and keys with a prefix that nobody else uses, so that
/// programs which share a server do not get in each other's way. The keys go with it.
class redis_part {
 public:
  /// Throws otlpkit::config_error for a URL that cannot be used.
  explicit redis_part(std::string_view what);
  ~redis_part();
  redis_part(const redis_part&) = delete;
  redis_part& operator=(const redis_part&) = delete;

  [[nodiscard]] otlpkit::redis::connection& server() noexcept { return server_; }
  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }

 private:
  otlpkit::redis::connection server_;
  std::string prefix_;
};

#endif

}  // namespace shop
