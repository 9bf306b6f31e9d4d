// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/connection.hpp>
#include <otlpkit/messaging/idempotency_store.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// Idempotency keys in one Redis server, for messaging::idempotency_guard. Each step is a script, which Redis runs as
/// one; leases and times to live are the server's. Thread-safe.
///
/// A server that loses its data, or evicts keys for want of memory, forgets what was done.
class idempotency_store {
 public:
  /// \param server must outlive this
  /// \param prefix before every key
  explicit idempotency_store(connection& server, std::string prefix = "otlpkit:idempotency:")
      : server_{server}, prefix_{std::move(prefix)} {}

  [[nodiscard]] messaging::idempotency_entry begin(const messaging::idempotency_claim& c) {
    constexpr std::string_view script =
        "local found = redis.call('HMGET', KEYS[1], 'state', 'fingerprint', 'result', 'context')\n"
        "if found[1] then return found end\n"
        "redis.call('HSET', KEYS[1], 'state', '0', 'owner', ARGV[1], 'fingerprint', ARGV[2], 'context', ARGV[3],\n"
        "  'result', '')\n"
        "redis.call('PEXPIRE', KEYS[1], ARGV[4])\n"
        "return {}\n";
    const std::string name = name_of(c);
    const reply r =
        eval(script, "otlpkit.idempotency.begin", {name, c.owner, c.fingerprint, c.context, milliseconds(c.lease)});
    if (r.size() == 0) return {};
    using enum messaging::idempotency_state;
    const std::string_view state = r[0].text();
    return {state == "0"   ? in_progress
            : state == "1" ? succeeded
                           : failed,
            std::string{r[1].text()}, std::string{r[2].text()}, std::string{r[3].text()}};
  }

  bool finish(const messaging::idempotency_claim& c, messaging::idempotency_state state, std::string_view result,
              std::chrono::nanoseconds ttl) {
    constexpr std::string_view script =
        "local found = redis.call('HMGET', KEYS[1], 'owner', 'state')\n"
        "if found[1] ~= ARGV[1] or found[2] ~= '0' then return 0 end\n"
        "redis.call('HSET', KEYS[1], 'state', ARGV[2], 'result', ARGV[3])\n"
        "redis.call('PEXPIRE', KEYS[1], ARGV[4])\n"
        "return 1\n";
    const std::string name = name_of(c);
    return eval(script, "otlpkit.idempotency.finish",
                {name, c.owner, state == messaging::idempotency_state::succeeded ? 1 : 2, result, milliseconds(ttl)})
               .integer() == 1;
  }

  bool release(const messaging::idempotency_claim& c) {
    constexpr std::string_view script =
        "local found = redis.call('HMGET', KEYS[1], 'owner', 'state')\n"
        "if found[1] ~= ARGV[1] or found[2] ~= '0' then return 0 end\n"
        "return redis.call('DEL', KEYS[1])\n";
    const std::string name = name_of(c);
    return eval(script, "otlpkit.idempotency.release", {name, c.owner}).integer() == 1;
  }

 private:
  /// The length keeps keys of guards apart whose names begin alike.
  [[nodiscard]] std::string name_of(const messaging::idempotency_claim& c) const {
    std::string name = prefix_ + std::to_string(c.name.size());
    return name.append(":").append(c.name).append(":").append(c.key);
  }
  /// \param rest the one key, and what else the script is given
  reply eval(std::string_view script, std::string_view name, std::initializer_list<argument> rest) {
    std::array<argument, 8> words{"EVAL", script, 1, "", "", "", "", ""};
    std::copy(rest.begin(), rest.end(), words.begin() + 3);
    return server_.command(std::span<const argument>{words.data(), rest.size() + 3}, {}, name);
  }
  [[nodiscard]] static std::int64_t milliseconds(std::chrono::nanoseconds d) noexcept {
    return std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
  }

  connection& server_;
  std::string prefix_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
