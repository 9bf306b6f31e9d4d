// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/resilience/key_hash.hpp>
#include <otlpkit/resilience/permit.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// A state for each key, and never more than `max_keys` of them. Not thread-safe.
///
/// A key leaves when its state is idle(), which is when forgetting it changes nothing: a flood of keys cannot make the
/// table forget what a key has used up. While no key can leave, new keys have no state of their own: find() gives
/// nothing for them. Keys are kept as 16 bytes under a secret seed, so that long ones cost no memory, and nobody can
/// choose keys that share a state.
template <class State>
class keyed_table {
 public:
  explicit keyed_table(std::size_t max_keys) : max_keys_{max_keys} {
    std::uint64_t seed[2];
    platform::fill_random(seed, 2);
    seed_ = {seed[0], seed[1]};
  }

  /// The key's state; a new one from `make()` where there is none, or nullptr where there is no room for it. Valid
  /// until the next call. Throws std::bad_alloc.
  template <class Make>
  [[nodiscard]] State* find(std::string_view key, time_point now, Make&& make) {
    const key_hash hash = hash_key(key, seed_);
    if (const auto found = index_.find(hash); found != index_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return &found->second->state;
    }
    forget_idle(now);
    if (entries_.size() >= max_keys_) return nullptr;
    entries_.push_front({hash, std::forward<Make>(make)()});
    try {
      index_.emplace(hash, entries_.begin());
    } catch (...) {
      entries_.pop_front();
      throw;
    }
    return &entries_.front().state;
  }

  /// The key's state, or nullptr.
  [[nodiscard]] State* find(std::string_view key) noexcept {
    const auto found = index_.find(hash_key(key, seed_));
    return found != index_.end() ? &found->second->state : nullptr;
  }

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] std::size_t evictions() const noexcept { return evictions_; }

 private:
  struct entry {
    key_hash hash;
    State state;
  };
  struct hasher {
    std::size_t operator()(const key_hash& k) const noexcept { return static_cast<std::size_t>(k.first); }
  };

  /// Of the longest unused keys, at most two for each new one: the table shrinks after a flood, and no call has to pay
  /// for all of it.
  void forget_idle(time_point now) noexcept {
    for (int i = 0; i < 2 && !entries_.empty() && entries_.back().state.idle(now); ++i) {
      index_.erase(entries_.back().hash);
      entries_.pop_back();
      ++evictions_;
    }
  }

  std::size_t max_keys_;
  key_hash seed_;
  std::list<entry> entries_;  // most recently used first
  std::unordered_map<key_hash, typename std::list<entry>::iterator, hasher> index_;
  std::size_t evictions_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
