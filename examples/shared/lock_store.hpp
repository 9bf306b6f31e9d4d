// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>

namespace shop {

/// The store of locks cannot be reached.
class locks_unavailable : public std::runtime_error {
 public:
  locks_unavailable() : std::runtime_error{"the store of locks does not answer"} {}
};

/// Where locks are kept that several processes share, for otlpkit::lock::distributed_lock: in the Redis server that
/// REDIS_URL=redis://... names, or in this process. From any thread.
class lock_store {
 public:
  /// Throws std::runtime_error for a REDIS_URL that cannot be used.
  lock_store();
  ~lock_store();
  lock_store(const lock_store&) = delete;
  lock_store& operator=(const lock_store&) = delete;

  [[nodiscard]] std::optional<std::uint64_t> acquire(std::string_view key, std::string_view owner,
                                                     std::chrono::nanoseconds ttl);
  [[nodiscard]] bool renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl);
  bool release(std::string_view key, std::string_view owner);

  /// From now on every call fails with locks_unavailable, or none does.
  void take_down(bool down) noexcept { down_ = down; }

 private:
  struct places;
  template <class Call>
  auto there(Call call);

  std::unique_ptr<places> places_;
  std::atomic<bool> down_ = false;
};

}  // namespace shop
