// SPDX-License-Identifier: MIT
// Caches and locks for coroutines.
// emits: telemetry
#include <otlpkit/asio/distributed_lock.hpp>
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/asio/tiered_cache.hpp>
#include <otlpkit/cache/memory_cache.hpp>

#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include "resilience/recorded.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/thread_pool.hpp>

#include <optional>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using otlpkit::cache::async_tiered_cache;
using otlpkit::cache::lookup_outcome;
using otlpkit::lock::async_distributed_lock;
using otlpkit::lock::memory_lock_store;

std::atomic<std::uint64_t> time_now{1'000'000'000};
std::uint64_t manual_now() noexcept { return time_now; }

awaitable<int> value(int v) {
  co_await asio::post(asio::use_awaitable);
  co_return v;
}
awaitable<int> failing() {
  co_await asio::post(asio::use_awaitable);
  throw std::runtime_error{"the database does not answer"};
}
awaitable<void> sleep_for(std::chrono::milliseconds d) {
  asio::steady_timer timer{co_await asio::this_coro::executor, d};
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

TEST_CASE("many coroutines that look up a key wait for the one that loads, on many threads") {
  recorded out;
  support::recording::queue(std::size_t{64} << 20, 200'000);
  asio::io_context io;
  async_tiered_cache<int> cache{{.name = "stampede"}};
  std::atomic<int> loads{0};
  for (int i = 0; i < 200; ++i) {
    otlpkit::co_spawn(
        io,
        [&]() -> awaitable<void> {
          const child_of span{{}, "caller"};
          const auto found = co_await cache.get("a", [&]() -> awaitable<int> {
            ++loads;
            co_await sleep_for(2ms);
            co_return 7;
          });
          EXPECT(*found == 7 && is_current(span.context()));
        },
        asio::detached);
  }
  run_on(io, 4);
  CHECK(loads == 1);
  CHECK(counted.wrong == 0);
  CHECK(out.spans().size() == 400);
}

TEST_CASE("when the lookup that loads is cancelled, one that waits for it loads instead") {
  recorded out;
  asio::io_context io;
  async_tiered_cache<int> cache{{.name = "cancelled"}};
  asio::cancellation_signal signal;
  int loads = 0, found = 0;
  bool cancelled = false;
  otlpkit::co_spawn(
      io,
      [&]() -> awaitable<void> {
        static_cast<void>(co_await cache.get("a", [&]() -> awaitable<int> {
          ++loads;
          co_await wait_for_ever();
          co_return 1;
        }));
      },
      asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { cancelled = e != nullptr; }));
  otlpkit::co_spawn(
      io, [&]() -> awaitable<void> { found = *co_await cache.get("a", [&] { return value(++loads); }); },
      asio::detached);
  asio::post(io, [&] { signal.emit(asio::cancellation_type::all); });
  io.run();
  CHECK(cancelled);
  CHECK(loads == 2);
  CHECK(found == 2);
  static_cast<void>(out.spans());
}

TEST_CASE("awaitable levels, refresh ahead, stale values and negative entries are as in the blocking cache") {
  recorded out;
  asio::io_context io;
  asio::thread_pool pool{2};
  otlpkit::cache::memory_cache<int> texts{{.now = &manual_now}};
  otlpkit::offloaded l2{pool, texts};
  async_tiered_cache<int, decltype(l2)&> cache{l2,
                                               {.name = "levels",
                                                .ttl = 10s,
                                                .shared_ttl = 10s,
                                                .negative_ttl = 10s,
                                                .jitter = 0,
                                                .refresh_ahead = 0.5,
                                                .grace = 100s,
                                                .now = &manual_now}};
  int done = 0;
  const auto work = [&]() -> awaitable<void> {
    const auto missed = co_await cache.get("a", [] { return value(1); });
    EXPECT(missed.outcome() == lookup_outcome::miss && texts.get("a") == 1);
    cache.clear();
    const auto shared = co_await cache.get("a", [] { return value(9); });
    EXPECT(shared.level() == otlpkit::cache::lookup_level::l2 && *shared == 1);
    time_now += 5'000'000'000;
    const auto refreshed = co_await cache.get("a", [] { return value(2); });
    EXPECT(refreshed.outcome() == lookup_outcome::refresh && *refreshed == 1);
    for (int i = 0; i < 1000 && texts.get("a") != 2; ++i) co_await sleep_for(1ms);
    co_await sleep_for(1ms);
    const auto fresh = co_await cache.get("a", [] { return value(3); });
    EXPECT(*fresh == 2);
    time_now += 10'000'000'000;
    const auto stale = co_await cache.get("a", [] { return failing(); });
    EXPECT(stale.outcome() == lookup_outcome::stale && *stale == 2);
    bool thrown = false;
    try {
      static_cast<void>(co_await cache.get("b", [] { return failing(); }));
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT(thrown);
    const auto none = []() -> awaitable<std::optional<int>> { co_return std::nullopt; };
    static_cast<void>(co_await cache.get("c", none));
    const auto negative = co_await cache.get("c", none);
    EXPECT(negative.outcome() == lookup_outcome::negative);
    const bool set = co_await cache.set("c", 4), erased = co_await cache.erase("c");
    EXPECT(set && erased && !texts.get("c"));
    ++done;
  };
  run_one(work);
  CHECK(done == 1);
  CHECK(counted.wrong == 0);
  static_cast<void>(out.spans());
}

TEST_CASE("a coroutine waits for a lock, and work under it is renewed by the watchdog") {
  recorded out;
  memory_lock_store store;
  async_distributed_lock locks{store,
                               {.name = "async", .ttl = 60ms, .margin = 10ms, .max_wait = 60s, .poll_interval = 1ms}};
  int inside = 0;
  std::uint64_t token = 0;
  asio::io_context io;
  for (int i = 0; i < 4; ++i) {
    otlpkit::co_spawn(
        io,
        [&]() -> awaitable<void> {
          const int got = co_await locks.work("a", [&](auto& held) -> awaitable<int> {
            EXPECT(++inside == 1 && held.fencing_token() > token);
            token = held.fencing_token();
            co_await sleep_for(10ms);
            --inside;
            co_return 5;
          });
          EXPECT(got == 5);
        },
        [](std::exception_ptr e) { EXPECT(e == nullptr); });
  }
  io.run();
  CHECK(counted.wrong == 0);
  CHECK(store.size() == 0);
  for (const auto& s : out.spans()) {
    if (s.name == "lock.hold async") CHECK(s.parent_id.empty());
  }
}

TEST_CASE("work whose lock is lost is cancelled, and ends with lock_lost_error") {
  recorded out;
  memory_lock_store store;
  async_distributed_lock locks{store, {.name = "lost", .ttl = 30ms, .margin = 5ms}};
  bool cancelled = false, lost = false;
  run_one([&]() -> awaitable<void> {
    try {
      co_await locks.work("a", [&](auto&) -> awaitable<void> {
        std::string owner;
        for (const auto& s : out.all.take()) owner = s.attributes["otlpkit.lock.owner"].as_string();
        static_cast<void>(store.release("lost:a", owner));
        try {
          co_await wait_for_ever();
        } catch (const boost::system::system_error&) {
          cancelled = true;
          throw;
        }
      });
    } catch (const otlpkit::lock::lock_lost_error&) {
      lost = true;
    }
  });
  CHECK(cancelled);
  CHECK(lost);
  CHECK(recorded::only(out.spans(), "lock.hold lost").attributes["otlpkit.lock.lost"] == true);
}

TEST_CASE("a lock that is held elsewhere, a store that blocks, and cancelling while waiting") {
  recorded out;
  asio::io_context io;
  asio::thread_pool pool{1};
  memory_lock_store store;
  otlpkit::offloaded awaited{pool, store};
  async_distributed_lock locks{awaited, {.name = "busy", .max_wait = 0s, .poll_interval = 1ms}};
  bool busy = false, aborted = false;
  run_one([&]() -> awaitable<void> {
    auto held = co_await locks.acquire("a");
    const bool none = !(co_await locks.try_acquire("a"));
    EXPECT(none && held.valid());
    try {
      static_cast<void>(co_await locks.acquire("a"));
    } catch (const otlpkit::lock::lock_busy_error&) {
      busy = true;
    }
    asio::cancellation_signal signal;
    otlpkit::co_spawn(
        co_await asio::this_coro::executor,
        [&]() -> awaitable<void> { static_cast<void>(co_await locks.acquire("a", 60s)); },
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { aborted = e != nullptr; }));
    co_await sleep_for(5ms);
    signal.emit(asio::cancellation_type::all);
    for (int i = 0; i < 1000 && !aborted; ++i) co_await sleep_for(1ms);
    const bool renewed = co_await held.renew(), released = co_await held.release();
    EXPECT(renewed && released);
  });
  CHECK(busy);
  CHECK(aborted);
  CHECK(counted.wrong == 0);
  CHECK(store.size() == 0);
  static_cast<void>(out.spans());
}

TEST_CASE("when all lookups of a key are cancelled at once, the next one loads at once") {
  recorded out;
  asio::io_context io;
  async_tiered_cache<int> cache{{.name = "all-cancelled", .max_wait = 5s}};
  asio::cancellation_signal leader, follower;
  int cancelled = 0;
  for (asio::cancellation_signal* signal : {&leader, &follower}) {
    otlpkit::co_spawn(
        io,
        [&]() -> awaitable<void> {
          static_cast<void>(co_await cache.get("a", []() -> awaitable<int> {
            co_await wait_for_ever();
            co_return 1;
          }));
        },
        asio::bind_cancellation_slot(signal->slot(), [&](std::exception_ptr e) { cancelled += e != nullptr ? 1 : 0; }));
  }
  asio::post(io, [&] {
    leader.emit(asio::cancellation_type::all);
    follower.emit(asio::cancellation_type::all);
  });
  io.run();
  CHECK(cancelled == 2);
  run_one([&]() -> awaitable<void> {
    const auto found = co_await cache.get("a", [] { return value(3); });
    EXPECT(*found == 3 && found.outcome() == lookup_outcome::miss);
  });
  CHECK(counted.wrong == 0);
  static_cast<void>(out.spans());
}

TEST_CASE("work whose caller is cancelled gives its lock back") {
  recorded out;
  asio::io_context io;
  memory_lock_store store;
  async_distributed_lock locks{store, {.name = "given-back"}};
  asio::cancellation_signal signal;
  bool cancelled = false, held = false;
  otlpkit::co_spawn(
      io,
      [&]() -> awaitable<void> {
        co_await locks.work("a", [&](auto&) -> awaitable<void> {
          held = store.size() == 1;
          asio::post(io, [&] { signal.emit(asio::cancellation_type::all); });
          co_await wait_for_ever();
        });
      },
      asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { cancelled = e != nullptr; }));
  io.run();
  CHECK(held);
  CHECK(cancelled);
  CHECK(store.size() == 0);
  static_cast<void>(out.spans());
}
