// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/connection.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// Locks in one Redis server, for distributed_lock. Each step is a script, which Redis runs as one. Thread-safe.
///
/// Fencing tokens are microseconds of the server's clock, and always more than the one before: they grow even over a
/// restart that lost all data, as long as the server's clock does not go back behind it; a key's last one is kept for a
/// day after its lock has ended. A lock that was lost that way may be given to another while its holder still relies on
/// it; that is what fencing tokens are for.
class lock_store {
 public:
  /// \param server must outlive this
  /// \param prefix before every key
  explicit lock_store(connection& server, std::string prefix = "otlpkit:lock:")
      : server_{server}, prefix_{std::move(prefix)} {}

  [[nodiscard]] std::optional<std::uint64_t> acquire(std::string_view key, std::string_view owner,
                                                     std::chrono::nanoseconds ttl) {
    constexpr std::string_view script =
        "local owner = redis.call('GET', KEYS[1])\n"
        "if owner and owner ~= ARGV[1] then return false end\n"
        "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
        "local time = redis.call('TIME')\n"
        "local token = time[1] * 1000000 + time[2]\n"
        "local last = tonumber(redis.call('GET', KEYS[2]) or '0')\n"
        "if token <= last then token = last + 1 end\n"
        "redis.call('SET', KEYS[2], string.format('%.0f', token), 'PX', ARGV[2] + 86400000)\n"
        "return token\n";
    // The braces keep both keys in one slot of a cluster.
    const std::string name = prefix_ + "{" + std::string{key} + "}";
    const reply r = eval(script, "otlpkit.lock.acquire", {2, name, name + ":token", owner, milliseconds(ttl)});
    if (r.nil()) return std::nullopt;
    return static_cast<std::uint64_t>(r.integer());
  }

  [[nodiscard]] bool renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    constexpr std::string_view script =
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
        "return redis.call('PEXPIRE', KEYS[1], ARGV[2])\n";
    const std::string name = prefix_ + "{" + std::string{key} + "}";
    return eval(script, "otlpkit.lock.renew", {1, name, owner, milliseconds(ttl)}).integer() == 1;
  }

  bool release(std::string_view key, std::string_view owner) {
    constexpr std::string_view script =
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
        "return redis.call('DEL', KEYS[1])\n";
    const std::string name = prefix_ + "{" + std::string{key} + "}";
    return eval(script, "otlpkit.lock.release", {1, name, owner}).integer() == 1;
  }

 private:
  reply eval(std::string_view script, std::string_view name, std::initializer_list<argument> rest) {
    std::array<argument, 8> words{"EVAL", script, "", "", "", "", "", ""};
    std::copy(rest.begin(), rest.end(), words.begin() + 2);
    return server_.command(std::span<const argument>{words.data(), rest.size() + 2}, {}, name);
  }
  [[nodiscard]] static std::int64_t milliseconds(std::chrono::nanoseconds ttl) noexcept {
    return std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::milliseconds>(ttl).count());
  }

  connection& server_;
  std::string prefix_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
