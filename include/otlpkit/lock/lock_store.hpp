// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>

namespace otlpkit::inline OTLPKIT_ABI::lock {

/// Where locks are kept. A lock is a key with an owner and an end; each of the three calls is one atomic step there:
///   acquire(key, owner, ttl)  a fencing token, larger than every one given before for this key; or what is false when
///                             another owner has the lock. Asked again by the same owner it succeeds again.
///   renew(key, owner, ttl)    whether it is still the owner's, and now for `ttl` from now on
///   release(key, owner)       whether it was still the owner's; it is nobody's now
/// All may throw when the store cannot be reached, and may be called from any thread at once. For awaitable locks they
/// may return awaitables of the same.
template <class S>
concept lock_store = requires(std::remove_reference_t<S>& s, std::string_view key, std::string_view owner,
                              std::chrono::nanoseconds ttl) {
  s.acquire(key, owner, ttl);
  s.renew(key, owner, ttl);
  s.release(key, owner);
};

/// Locks within one process: for tests, and for programs that run alone. Thread-safe.
class memory_lock_store {
 public:
  explicit memory_lock_store(resilience::time_source& time = resilience::system_time()) : time_{time} {}

  [[nodiscard]] std::optional<std::uint64_t> acquire(std::string_view key, std::string_view owner,
                                                     std::chrono::nanoseconds ttl) {
    const auto now = time_.now();
    const std::lock_guard guard{mutex_};
    if (entries_.size() >= sweep_at_) sweep(now);
    entry& e = entries_[std::string{key}];
    if (e.ends > now && e.owner != owner) return std::nullopt;
    e.owner = owner;
    e.ends = now + ttl;
    return ++tokens_;
  }

  [[nodiscard]] bool renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    const auto now = time_.now();
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(std::string{key});
    if (found == entries_.end() || found->second.owner != owner || found->second.ends <= now) return false;
    found->second.ends = now + ttl;
    return true;
  }

  bool release(std::string_view key, std::string_view owner) {
    const auto now = time_.now();
    const std::lock_guard guard{mutex_};
    const auto found = entries_.find(std::string{key});
    if (found == entries_.end() || found->second.owner != owner) return false;
    const bool in_time = found->second.ends > now;
    entries_.erase(found);
    return in_time;
  }

  /// Locks that are held, or were given up without release.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard guard{mutex_};
    return entries_.size();
  }

 private:
  struct entry {
    std::string owner;
    resilience::time_point ends{};
  };

  /// Those that ended without release go when the table has doubled.
  void sweep(resilience::time_point now) {
    std::erase_if(entries_, [now](const auto& e) { return e.second.ends <= now; });
    sweep_at_ = entries_.size() * 2 < 64 ? 64 : entries_.size() * 2;
  }

  resilience::time_source& time_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, entry> entries_;
  std::size_t sweep_at_ = 64;
  std::uint64_t tokens_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::lock
