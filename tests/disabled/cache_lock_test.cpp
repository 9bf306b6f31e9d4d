// SPDX-License-Identifier: MIT
#include <otlpkit/cache/memory_cache.hpp>
#include <otlpkit/cache/tiered_cache.hpp>
#include <otlpkit/lock/distributed_lock.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>

TEST_CASE("with telemetry compiled out a tiered cache loads once, keeps, forgets and tolerates its shared level") {
  otlpkit::cache::memory_cache<int> shared;
  otlpkit::cache::tiered_cache cache{shared, {.name = "x"}};
  int loads = 0;
  const auto load = [&] { return ++loads; };
  CHECK(*cache.get("a", load) == 1);
  CHECK(*cache.get("a", load) == 1);
  CHECK(shared.get("a") == 1);
  cache.erase("a");
  CHECK(*cache.get("a", load) == 2);
  CHECK_THROWS_AS(static_cast<void>(cache.get("b", []() -> int { throw std::runtime_error{"no"}; })),
                  std::runtime_error);
}

TEST_CASE("with telemetry compiled out locks lock, renew and are lost") {
  otlpkit::lock::memory_lock_store store;
  otlpkit::lock::distributed_lock locks{store, {.name = "x"}};
  auto held = locks.acquire("a");
  CHECK(held.renew());
  CHECK_FALSE(locks.try_acquire("a").has_value());
  CHECK(held.release());
  CHECK(locks.work("a", [] { return 3; }) == 3);
}
