// SPDX-License-Identifier: MIT
#include <otlpkit/cache/memory_cache.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::cache::memory_cache;
using otlpkit::cache::time_to_live;

namespace {

std::atomic<std::uint64_t> time_now{0};
std::uint64_t manual_now() noexcept { return time_now; }
void pass(std::chrono::nanoseconds d) { time_now += static_cast<std::uint64_t>(d.count()); }

}  // namespace

TEST_CASE("what was set is there until it is erased, and a second set replaces it") {
  memory_cache<int> cache;
  CHECK_FALSE(cache.get("a").has_value());
  cache.set("a", 1);
  cache.set("a", 2);
  CHECK(cache.get("a") == 2);
  CHECK(cache.size() == 1);
  CHECK(cache.erase("a"));
  CHECK_FALSE(cache.erase("a"));
  CHECK_FALSE(cache.get("a").has_value());
}

TEST_CASE("an entry is there for its time and not a nanosecond longer") {
  memory_cache<int> cache{{.max_entries = 10, .now = &manual_now}};
  cache.set("a", 1, 1h);
  pass(1h - 1ns);
  CHECK(cache.get("a") == 1);
  pass(1ns);
  CHECK_FALSE(cache.get("a").has_value());
  CHECK(cache.size() == 0);
}

TEST_CASE("setting an entry again starts its time anew, and none given means the default one") {
  memory_cache<int> cache{{.default_ttl = 10s, .now = &manual_now}};
  cache.set("a", 1);
  pass(9s);
  cache.set("a", 2);
  pass(9s);
  CHECK(cache.get("a") == 2);
  pass(1s);
  CHECK_FALSE(cache.get("a").has_value());
}

TEST_CASE("a full cache lets the entry go that was longest unused") {
  memory_cache<int> cache{{.max_entries = 2}};
  cache.set("a", 1);
  cache.set("b", 2);
  CHECK(cache.get("a") == 1);
  cache.set("c", 3);
  CHECK_FALSE(cache.get("b").has_value());
  CHECK(cache.get("a") == 1);
  CHECK(cache.get("c") == 3);
  CHECK(cache.evictions() == 1);
}

TEST_CASE("a cache of no entries keeps nothing") {
  memory_cache<int> cache{{.max_entries = 0}};
  cache.set("a", 1);
  CHECK_FALSE(cache.get("a").has_value());
}

TEST_CASE("any duration is taken, and what is too long for a clock means for ever") {
  CHECK(time_to_live{}.forever());
  CHECK(time_to_live{1h}.ns() == 3'600'000'000'000);
  CHECK(time_to_live{1500us}.ns() == 1'500'000);
  CHECK(time_to_live{7ns}.ns() == 7);
  CHECK(time_to_live{-1s}.ns() == 0);
  CHECK(time_to_live{std::chrono::hours::max()}.forever());
}

TEST_CASE("whatever is done to it, it holds no more than it may, and only what was set") {
  std::mt19937_64 random{42};
  memory_cache<std::uint64_t> cache{{.max_entries = 50, .now = &manual_now}};
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t key = random() % 200;
    const std::string name = std::to_string(key);
    switch (random() % 4) {
      case 0: cache.set(name, key, std::chrono::nanoseconds{random() % 1000}); break;
      case 1: cache.erase(name); break;
      case 2: pass(std::chrono::nanoseconds{random() % 100}); break;
      default:
        if (const auto found = cache.get(name)) REQUIRE(*found == key);
    }
    REQUIRE(cache.size() <= 50);
  }
}

TEST_CASE("many threads may use it at once") {
  memory_cache<std::string> cache{{.max_entries = 32}};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2'000; ++i) {
        const std::string key = std::to_string((i * 7 + t) % 64);
        if (i % 3 == 0) cache.set(key, key);
        if (const auto found = cache.get(key); found && *found != key) ++wrong;
        if (i % 11 == 0) cache.erase(key);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(cache.size() <= 32);
}
