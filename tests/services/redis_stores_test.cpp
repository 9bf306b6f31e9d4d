// SPDX-License-Identifier: MIT
// Caches, locks, streams and pools over a Redis server, also for coroutines, while it dies, hangs and forgets.
// links: PkgConfig::hiredis
// emits: telemetry
#include <otlpkit/asio/distributed_lock.hpp>
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/asio/tiered_cache.hpp>
#include <otlpkit/cache/tiered_cache.hpp>
#include <otlpkit/db/pool.hpp>
#include <otlpkit/lock/distributed_lock.hpp>

#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include "lock/lock_race.hpp"
#include "services/redis_fixture.hpp"

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

TEST_CASE("entries of a stream are shared out in a group, acknowledged, and taken over from who died") {
  connection c{here()};
  otlpkit::redis::stream orders{c, "orders:created"};
  orders.create_group("billing");
  orders.create_group("billing");
  const std::string first = orders.add({{"order", "1"}, {"traceparent", "00-..."}});
  const std::string second = orders.add({{"order", "2"}}, 1000);
  CHECK(orders.size() == 2);
  auto got = orders.read("billing", "one", 1);
  REQUIRE(got.size() == 1);
  CHECK(got[0].id == first);
  CHECK(got[0].find("order") == "1");
  CHECK_FALSE(got[0].find("nothing").has_value());
  CHECK(orders.read("billing", "two", 10).at(0).id == second);
  CHECK(orders.read("billing", "two", 10).empty());
  const auto begin = steady::now();
  CHECK(orders.read("billing", "two", 10, 30ms).empty());  // waits on the server
  CHECK(steady::now() - begin >= 25ms);
  CHECK(orders.pending("billing", "one").size() == 1);
  CHECK(orders.ack("billing", second) == 1);
  CHECK(orders.ack("billing", second) == 0);
  const auto claimed = orders.auto_claim("billing", "two", 0ms);
  REQUIRE(claimed.entries.size() == 1);
  CHECK(claimed.entries[0].id == first);
  CHECK(claimed.next == "0-0");
  CHECK(orders.pending("billing", "one").empty());
  CHECK(orders.ack("billing", first) == 1);
  CHECK(failure_of([&] { orders.read("no such group", "one"); }) == failure::server);
}

TEST_CASE("a stream outlives its server: who reads hears of it, and what was not acknowledged is still there") {
  connection c{here()};
  connection watching{here()};
  otlpkit::redis::stream orders{c, "orders:durable"};
  orders.create_group("billing");
  const std::string first = orders.add({{"order", "1"}});
  REQUIRE(orders.read("billing", "one", 1).size() == 1);
  std::optional<failure> ended;
  std::thread reading{[&] { ended = failure_of([&] { static_cast<void>(orders.read("billing", "one", 1, 60s)); }); }};
  while (watching.command("CLIENT", "LIST").text().find(" flags=b ") == std::string_view::npos)  // it waits there
    std::this_thread::yield();
  server().kill();
  reading.join();
  CHECK(ended == failure::closed);
  CHECK(failure_of([&] { static_cast<void>(orders.add({{"order", "2"}})); }) == failure::unreachable);
  server().start();
  CHECK(recovers([&] { static_cast<void>(orders.size()); }));
  CHECK(orders.pending("billing", "one").size() == 1);
  const auto claimed = orders.auto_claim("billing", "two", 0ms);
  REQUIRE(claimed.entries.size() == 1);
  CHECK(claimed.entries[0].id == first);
  CHECK(orders.ack("billing", first) == 1);
  {
    connection brief{here(100ms)};
    otlpkit::redis::stream slow{brief, "orders:durable"};
    const support::suspended hangs{server()};
    const auto begin = steady::now();
    CHECK(failure_of([&] { static_cast<void>(slow.read("billing", "two", 1)); }).has_value());
    CHECK(steady::now() - begin < 5s);
  }
  CHECK(orders.size() == 1);
}

TEST_CASE("a cache over a server that hangs answers without it, each lookup within the time of a few commands") {
  connection c{here(50ms)};
  otlpkit::redis::cache_store texts{c};
  otlpkit::cache::tiered_cache cache{texts, {.name = "hanging"}};
  CHECK(*cache.get("before", [] { return std::string{"1"}; }) == "1");
  {
    const support::suspended hangs{server()};
    const auto begin = steady::now();
    for (int i = 0; i < 10; ++i) CHECK(*cache.get(std::to_string(i), [] { return std::string{"2"}; }) == "2");
    CHECK(steady::now() - begin < 5s);
    CHECK_FALSE(cache.set("other", "3"));
  }
  cache.clear();
  CHECK(recovers([&] { static_cast<void>(c.command("PING")); }));
  CHECK(*cache.get("before", [] { return std::string{"4"}; }) == "1");
}

TEST_CASE("threads share the connections of a pool, and each command finds one that is its own") {
  recorded out;
  using one = std::unique_ptr<connection>;
  otlpkit::db::pool<one> pool{[] { return std::make_unique<connection>(here()); }, {.name = "redis", .max_size = 3}};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto redis = pool.acquire();
        const std::string text = std::to_string(t * 1000 + i);
        if ((*redis)->command("ECHO", text).text() != text) ++wrong;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(pool.counts().used == 0);
  CHECK(pool.counts().idle <= 3);
  server().restart();
  CHECK((*pool.acquire())->command("ECHO", "x").text() == "x");
  static_cast<void>(out.all.take());
}

TEST_CASE("a lock in Redis is one holder's at a time, over threads and connections") {
  recorded out;
  lock_race race;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      connection c{here()};
      otlpkit::redis::lock_store store{c};
      otlpkit::lock::distributed_lock locks{store, {.name = "shared", .max_wait = 60s, .poll_interval = 2ms}};
      race.run(locks, 20);
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(race.wrong == 0);
  CHECK(race.done == 80);
  for (const auto& s : out.spans()) {
    if (s.name == "EVAL") CHECK(s.attributes["db.stored_procedure.name"].as_string().find("otlpkit.lock.") == 0);
  }
}

TEST_CASE("the store renews and releases for the owner only, and the same owner may ask again") {
  connection c{here()};
  otlpkit::redis::lock_store store{c, "t:"};
  const auto first = store.acquire("a", "me", 60s);
  REQUIRE(first.has_value());
  CHECK(*store.acquire("a", "me", 60s) > *first);
  CHECK_FALSE(store.acquire("a", "you", 60s).has_value());
  CHECK_FALSE(store.renew("a", "you", 60s));
  CHECK_FALSE(store.release("a", "you"));
  CHECK(store.renew("a", "me", 90s));
  CHECK(c.command("PTTL", "t:{a}").integer() > 60'000);
  CHECK(store.release("a", "me"));
  CHECK_FALSE(store.release("a", "me"));
  CHECK_FALSE(store.renew("a", "me", 60s));
  CHECK(*store.acquire("a", "you", 1ms) > *first);
}

TEST_CASE("fencing tokens grow over a clock that goes back, and outlive their lock for a day") {
  connection c{here()};
  otlpkit::redis::lock_store store{c, "t:"};
  constexpr std::uint64_t late = 5'000'000'000'000'000;  // microseconds: in 2128
  static_cast<void>(c.command("SET", "t:{fenced}:token", late));
  CHECK(store.acquire("fenced", "me", 60s) == late + 1);
  CHECK(store.release("fenced", "me"));
  CHECK(store.acquire("fenced", "you", 30s) == late + 2);
  CHECK(c.command("PTTL", "t:{fenced}").integer() <= 30'000);
  const auto kept = c.command("PTTL", "t:{fenced}:token").integer();
  CHECK(kept > 86'400'000);
  CHECK(kept <= 86'430'000);
}

TEST_CASE("a lock is safe over a server that hangs or forgets: the holder notices, and tokens tell the holders apart") {
  connection c{here(200ms)};
  otlpkit::redis::lock_store store{c};
  otlpkit::lock::distributed_lock locks{
      store, {.name = "safe", .ttl = 400ms, .margin = 50ms, .max_wait = 10s, .poll_interval = 10ms}};
  auto held = locks.acquire("a");
  {
    const support::suspended hangs{server()};
    CHECK_FALSE(held.renew());
    while (held.valid()) static_cast<void>(held.renew());
  }
  CHECK_THROWS_AS(held.ensure(), otlpkit::lock::lock_lost_error);
  auto second = locks.acquire("a");
  CHECK(second.fencing_token() > held.fencing_token());
  CHECK_FALSE(held.release());
  CHECK(second.release());

  // All data is lost, the fencing counter with it.
  otlpkit::lock::distributed_lock longer{store, {.name = "safe", .ttl = 60s, .max_wait = 10s, .poll_interval = 10ms}};
  auto trusting = longer.acquire("b");
  server().kill();
  std::filesystem::remove_all(server().folder() + "/appendonlydir");
  server().start();
  auto other = longer.acquire("b");
  CHECK(other.fencing_token() > trusting.fencing_token());
  CHECK(trusting.valid());
  CHECK_FALSE(trusting.renew());
  CHECK_FALSE(trusting.valid());
  CHECK(other.valid());
}

TEST_CASE(
    "coroutines use caches and locks over connections of a pool, and none of them stops for a server that hangs") {
  recorded out;
  asio::thread_pool threads{3};
  using one = std::unique_ptr<connection>;
  otlpkit::db::pool<one> pool{[] { return std::make_unique<connection>(here(100ms)); },
                              {.name = "redis-async", .max_size = 3}};
  connection c{here(100ms)};
  otlpkit::redis::cache_store texts{c};
  otlpkit::redis::lock_store owners{c};
  otlpkit::offloaded l2{threads, texts};
  otlpkit::offloaded store{threads, owners};
  otlpkit::cache::async_tiered_cache<std::string, decltype(l2)&> cache{l2, {.name = "awaited"}};
  otlpkit::lock::async_distributed_lock locks{store, {.name = "awaited", .max_wait = 10s, .poll_interval = 2ms}};
  int ticks = 0, inside = 0, done = 0;
  bool hanging = false;
  const auto text = [](const char* t) { return [t]() -> awaitable<std::string> { co_return t; }; };
  const auto alone = [&]() -> awaitable<void> {
    co_await locks.work("awaited", [&]() -> awaitable<void> {
      EXPECT(++inside == 1);
      co_await sleep_for(1ms);
      --inside;
      ++done;
    });
  };
  run_one([&]() -> awaitable<void> {
    std::vector<awaitable<void>> all;
    for (int i = 0; i < 8; ++i) all.push_back(alone());
    co_await otlpkit::when_all(std::move(all));
    const auto first = co_await cache.get("awaited", text("1"));
    cache.clear();
    const auto again = co_await cache.get("awaited", text("2"));
    EXPECT(*first == "1" && *again == "1");
    const support::suspended hangs{server()};
    hanging = true;
    const auto tick = [&]() -> awaitable<void> {
      while (hanging) {
        ++ticks;
        co_await sleep_for(1ms);
      }
    };
    const auto ask = [&]() -> awaitable<void> {
      const auto found = co_await cache.get("other", text("3"));
      EXPECT(*found == "3");
      bool failed = false;
      try {
        co_await otlpkit::offload(threads, [&] { static_cast<void>((*pool.acquire())->command("PING")); });
      } catch (const error&) {
        failed = true;
      }
      EXPECT(failed);
      hanging = false;
    };
    co_await otlpkit::when_all(tick(), ask());
  });
  CHECK(done == 8);
  CHECK(ticks > 20);  // in more than 100 ms
  CHECK(counted.wrong == 0);
  run_one([&]() -> awaitable<void> {
    server().restart();
    const auto pong =
        co_await otlpkit::offload(threads, [&] { return std::string{(*pool.acquire())->command("PING").text()}; });
    EXPECT(pong == "PONG");
  });
  CHECK(counted.wrong == 0);
  static_cast<void>(out.all.take());
}
