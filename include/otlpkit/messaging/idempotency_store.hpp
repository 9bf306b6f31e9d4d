// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/platform.hpp>
#include <otlpkit/resilience/key_hash.hpp>
#include <otlpkit/resilience/rejected_error.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// What a store is asked with. Texts may hold any bytes; they live until the call is over.
struct idempotency_claim {
  std::string_view name;  ///< of the guard: keys of two guards are two keys
  std::string_view key;
  std::string_view fingerprint;  ///< of the request, 16 bytes; empty: requests are not told apart
  std::string_view owner;        ///< who asks; nobody else has this text
  std::string_view context;      ///< traceparent of the caller, or empty
  std::chrono::nanoseconds lease;
};

enum class idempotency_state : std::uint8_t {
  begun,        ///< the key is the asker's now, who may run
  in_progress,  ///< another has it, whose lease is not over
  succeeded,    ///< there is a result
  failed,       ///< there is a failure that was to be remembered
};

/// What a store answers. Beyond `begun`: what whoever has the key, or had it, left there.
struct idempotency_entry {
  idempotency_state state = idempotency_state::begun;
  std::string fingerprint{};
  std::string result{};
  std::string context{};
};

/// Where keys are kept. Each call is one atomic step there:
///   begin(claim)                       an idempotency_entry: the key was free, or its time was over, and is the
///                                      claimer's now; or what there is
///   finish(claim, state, result, ttl)  keeps how it ended for `ttl`; whether the key was still the claimer's
///   release(claim)                     frees the key; whether it was still the claimer's
/// All may throw, and may be called from any thread at once. For awaitable guards they may return awaitables of these.
template <class S>
concept idempotency_store = requires(std::remove_reference_t<S>& s, const idempotency_claim& c) {
  s.begin(c);
  s.finish(c, idempotency_state::succeeded, std::string_view{}, std::chrono::nanoseconds{});
  s.release(c);
};

/// How much a store in memory may hold.
struct memory_idempotency_options {
  std::size_t max_entries = 10'000;
  std::size_t max_bytes = std::size_t{64} << 20;  ///< of results
};

/// Keys within one process: for tests, and for programs that run alone. Thread-safe.
///
/// Bounded: when it is full, the results that are there for longest go, which lets their keys run again; keys in
/// progress stay, and where there is nothing but those begin() throws bulkhead_full_error. Keys of any length take 16
/// bytes: SipHash with a secret seed stands for them.
class memory_idempotency_store {
 public:
  explicit memory_idempotency_store(memory_idempotency_options options = {},
                                    resilience::time_source& time = resilience::system_time())
      : options_{options}, time_{time} {
    if (options.max_entries == 0) throw config_error{"memory_idempotency_options.max_entries", "0", "1 or more"};
    std::uint64_t words[2] = {};
    platform::fill_random(words, 2);
    seed_ = {words[0], words[1]};
  }

  [[nodiscard]] idempotency_entry begin(const idempotency_claim& claim) {
    const auto now = time_.now();
    const std::lock_guard guard{mutex_};
    drop_ended(now);
    const id key = id_of(claim);
    if (const auto found = entries_.find(key); found != entries_.end()) {
      if (found->second.ends > now) return found->second.content;
      remove(found);
    }
    make_room(claim.name);
    entry fresh{std::string{claim.owner},
                {idempotency_state::in_progress, std::string{claim.fingerprint}, {}, std::string{claim.context}},
                resilience::time_after(now, claim.lease),
                {}};
    std::list<id> node{key};
    fresh.place = node.begin();
    entries_.emplace(key, std::move(fresh));
    running_.splice(running_.end(), node);
    return {};
  }

  bool finish(const idempotency_claim& claim, idempotency_state state, std::string_view result,
              std::chrono::nanoseconds ttl) {
    const auto now = time_.now();
    const std::lock_guard guard{mutex_};
    const auto found = owned(claim);
    if (found == entries_.end()) return false;
    entry& e = found->second;
    if (result.size() > options_.max_bytes) {
      remove(found);
      return false;
    }
    e.content.result = result;
    e.content.state = state;
    e.ends = resilience::time_after(now, ttl);
    ended_.splice(ended_.end(), running_, e.place);
    bytes_ += result.size();
    while (bytes_ > options_.max_bytes && !ended_.empty()) evict();
    return true;
  }

  bool release(const idempotency_claim& claim) {
    const std::lock_guard guard{mutex_};
    const auto found = owned(claim);
    if (found == entries_.end()) return false;
    remove(found);
    return true;
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard guard{mutex_};
    return entries_.size();
  }
  /// Results that went before their time, because there was no room.
  [[nodiscard]] std::uint64_t evictions() const {
    const std::lock_guard guard{mutex_};
    return evictions_;
  }

 private:
  using id = resilience::key_hash;
  struct hash {
    [[nodiscard]] std::size_t operator()(const id& k) const noexcept { return static_cast<std::size_t>(k.first); }
  };
  struct entry {
    std::string owner;
    idempotency_entry content;
    resilience::time_point ends{};
    std::list<id>::iterator place{};
  };
  using table = std::unordered_map<id, entry, hash>;

  [[nodiscard]] id id_of(const idempotency_claim& claim) const noexcept {
    const id of_name = resilience::hash_key(claim.name, seed_);
    return resilience::hash_key(claim.key, {seed_.first ^ of_name.first, seed_.second ^ of_name.second});
  }

  /// The claimer's entry, unless another has the key by now or its work has ended.
  [[nodiscard]] table::iterator owned(const idempotency_claim& claim) {
    const auto found = entries_.find(id_of(claim));
    if (found == entries_.end()) return found;
    const bool ours =
        found->second.owner == claim.owner && found->second.content.state == idempotency_state::in_progress;
    return ours ? found : entries_.end();
  }

  void remove(table::iterator at) {
    const bool running = at->second.content.state == idempotency_state::in_progress;
    if (!running) bytes_ -= at->second.content.result.size();
    (running ? running_ : ended_).erase(at->second.place);
    entries_.erase(at);
  }
  void evict() {
    remove(entries_.find(ended_.front()));
    ++evictions_;
  }
  void drop_ended(resilience::time_point now) {
    for (std::list<id>* const all : {&ended_, &running_}) {
      while (!all->empty()) {
        const auto first = entries_.find(all->front());
        if (first->second.ends > now) break;
        remove(first);
      }
    }
  }
  void make_room(std::string_view name) {
    if (entries_.size() < options_.max_entries) return;
    if (ended_.empty()) throw bulkhead_full_error{name};
    evict();
  }

  const memory_idempotency_options options_;
  resilience::time_source& time_;
  id seed_;
  mutable std::mutex mutex_;
  table entries_;
  std::list<id> running_, ended_;  // in the order they began, and ended
  std::size_t bytes_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
