// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/lock/distributed_lock.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include "resilience/recorded.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;
using otlpkit::lock::distributed_lock;
using otlpkit::lock::lock_busy_error;
using otlpkit::lock::lock_lost_error;
using otlpkit::lock::lock_options;
using otlpkit::lock::memory_lock_store;
using otlpkit::testing::manual_time;

/// A store that fails, forgets or takes long when it is told to.
struct troubled_store {
  manual_time& time;
  memory_lock_store kept{time};
  bool down = false;
  bool loses_answers = false;  ///< does what it is asked, and the caller never knows
  std::chrono::nanoseconds takes{0};
  int calls = 0;

  template <class F>
  auto call(F fn) {
    ++calls;
    if (down) throw std::runtime_error{"the store does not answer"};
    auto result = fn();
    time.advance(takes);
    if (loses_answers) throw std::runtime_error{"the answer was lost"};
    return result;
  }

  std::optional<std::uint64_t> acquire(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    return call([&] { return kept.acquire(key, owner, ttl); });
  }
  bool renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    return call([&] { return kept.renew(key, owner, ttl); });
  }
  bool release(std::string_view key, std::string_view owner) {
    return call([&] { return kept.release(key, owner); });
  }
};

inline lock_options options(manual_time& time, std::string name) {
  return {.name = std::move(name),
          .ttl = 1s,
          .margin = 100ms,
          .max_wait = 1s,
          .poll_interval = 100ms,
          .jitter = 0,
          .record_key = true,
          .time = &time};
}

/// Whose the lock of that kind is that was got last, as its span says.
inline std::string last_owner(recorded& out, std::string_view name) {
  std::string owner;
  for (const auto& span : out.spans()) {
    if (span.name == "lock.acquire " + std::string{name} && span.attributes["otlpkit.lock.outcome"] == "acquired")
      owner = span.attributes["otlpkit.lock.owner"].as_string();
  }
  return owner;
}
