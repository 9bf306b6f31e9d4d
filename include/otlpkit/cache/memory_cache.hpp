// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/time_to_live.hpp>
#include <otlpkit/core/platform.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::cache {

/// The bounds of a memory_cache, and its clock.
struct memory_cache_options {
  std::size_t max_entries = 10'000;                        ///< the least recently used goes first; 0 keeps nothing
  time_to_live default_ttl = {};                           ///< for set() without one
  std::uint64_t (*now)() noexcept = &platform::steady_ns;  ///< nanoseconds of a clock that never goes back
};

/// A bounded cache inside the process: least recently used entries leave first, entries past their time are not there.
/// Thread-safe by one lock; values are copied out.
template <class Value>
class memory_cache {
 public:
  using value_type = Value;

  explicit memory_cache(memory_cache_options options = {}) : options_{options} {}
  memory_cache(const memory_cache&) = delete;
  memory_cache& operator=(const memory_cache&) = delete;

  /// The value, unless there is none or its time is over.
  [[nodiscard]] std::optional<Value> get(std::string_view key) {
    const std::uint64_t now = options_.now();
    const platform::lock_guard lock{mutex_};
    const auto found = index_.find(key);
    if (found == index_.end()) return std::nullopt;
    if (found->second->expires_at <= now) {
      remove(found);
      ++expirations_;
      return std::nullopt;
    }
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->content;
  }

  /// Puts or replaces the value, for as long as `ttl` says.
  void set(std::string_view key, Value content, time_to_live ttl) {
    const std::uint64_t expires_at = expiry(ttl);
    const platform::lock_guard lock{mutex_};
    if (const auto found = index_.find(key); found != index_.end()) {
      found->second->content = std::move(content);
      found->second->expires_at = expires_at;
      entries_.splice(entries_.begin(), entries_, found->second);
      return;
    }
    if (options_.max_entries == 0) return;
    entries_.push_front({std::string{key}, std::move(content), expires_at});
    try {
      index_.emplace(entries_.front().key, entries_.begin());
    } catch (...) {
      entries_.pop_front();
      throw;
    }
    if (entries_.size() > options_.max_entries) {
      remove(index_.find(entries_.back().key));
      ++evictions_;
    }
  }
  void set(std::string_view key, Value content) { set(key, std::move(content), options_.default_ttl); }

  /// Whether there was something to take away.
  bool erase(std::string_view key) {
    const platform::lock_guard lock{mutex_};
    const auto found = index_.find(key);
    if (found == index_.end()) return false;
    remove(found);
    return true;
  }

  void clear() {
    const platform::lock_guard lock{mutex_};
    index_.clear();
    entries_.clear();
  }

  /// Entries held, those past their time included until they are asked for or leave.
  [[nodiscard]] std::size_t size() const {
    const platform::lock_guard lock{mutex_};
    return entries_.size();
  }

  /// Entries that had to leave for newer ones.
  [[nodiscard]] std::size_t evictions() const {
    const platform::lock_guard lock{mutex_};
    return evictions_;
  }

  /// Entries that were found past their time, and left.
  [[nodiscard]] std::size_t expirations() const {
    const platform::lock_guard lock{mutex_};
    return expirations_;
  }

 private:
  struct entry {
    std::string key;
    Value content;
    std::uint64_t expires_at;
  };
  using list = std::list<entry>;                                                // most recently used first
  using index = std::unordered_map<std::string_view, typename list::iterator>;  // views of the entries' keys

  [[nodiscard]] std::uint64_t expiry(time_to_live ttl) const noexcept {
    if (ttl.forever()) return UINT64_MAX;
    const std::uint64_t now = options_.now(), lives = static_cast<std::uint64_t>(ttl.ns());
    return lives < UINT64_MAX - now ? now + lives : UINT64_MAX;
  }

  void remove(typename index::iterator found) {
    const auto gone = found->second;
    index_.erase(found);
    entries_.erase(gone);
  }

  memory_cache_options options_;
  mutable platform::mutex mutex_;
  list entries_;
  index index_;
  std::size_t evictions_ = 0;
  std::size_t expirations_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::cache
