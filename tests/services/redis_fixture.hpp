// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis.hpp>

#include "resilience/recorded.hpp"
#include "support/server_process.hpp"

#include <chrono>
#include <optional>
#include <thread>

using namespace std::chrono_literals;
using otlpkit::redis::connection;
using otlpkit::redis::error;
using otlpkit::redis::failure;
using steady = std::chrono::steady_clock;

inline support::redis_server& server() {
  static support::redis_server one;
  return one;
}

inline otlpkit::redis::options here(std::chrono::milliseconds timeout = 5000ms) {
  return {.url = server().url(),
          .connect_timeout = timeout,
          .command_timeout = timeout,
          .first_back_off = 20ms,
          .max_back_off = 50ms};
}

template <class F>
std::optional<failure> failure_of(F fn) {
  try {
    fn();
  } catch (const error& e) {
    return e.kind();
  }
  return std::nullopt;
}

/// Until it works again, as it must within a few back-offs.
template <class F>
bool recovers(F fn) {
  const auto end = steady::now() + 10s;
  while (steady::now() < end) {
    if (!failure_of(fn)) return true;
    std::this_thread::sleep_for(5ms);
  }
  return false;
}
