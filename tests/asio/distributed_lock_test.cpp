// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/asio/distributed_lock.hpp>
#include <otlpkit/asio/offload.hpp>

#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include "resilience/recorded.hpp"
#include "support/count_allocations.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using otlpkit::lock::async_distributed_lock;
using otlpkit::lock::memory_lock_store;

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

TEST_CASE("work that ended well while the store had given its lock away is an error") {
  recorded out;
  memory_lock_store store;
  async_distributed_lock locks{store, {.name = "refused"}};
  bool lost = false;
  run_one([&]() -> awaitable<void> {
    try {
      co_await locks.work("a", [&](auto&) -> awaitable<void> {
        std::string owner;
        for (const auto& s : out.all.take()) owner = s.attributes["otlpkit.lock.owner"].as_string();
        static_cast<void>(store.release("refused:a", owner));
        co_return;
      });
    } catch (const otlpkit::lock::lock_lost_error&) {
      lost = true;
    }
  });
  CHECK(lost);
  CHECK(recorded::only(out.spans(), "lock.hold refused").attributes["otlpkit.lock.brain_split"] == true);
}

namespace {

/// A store after whose answer memory runs out.
struct exhausting_store {
  memory_lock_store inner{};
  int allocations = 0;

  auto acquire(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    const auto token = inner.acquire(key, owner, ttl);
    support::allocations_before_failure = allocations;
    return token;
  }
  bool renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    return inner.renew(key, owner, ttl);
  }
  bool release(std::string_view key, std::string_view owner) { return inner.release(key, owner); }
};

}  // namespace

TEST_CASE("when memory runs out right after a lock was got, the lock is given back") {
  int failures = 0;
  for (int allocations = 0; allocations < 4; ++allocations) {
    INFO("allocations ", allocations);
    exhausting_store store{.allocations = allocations};
    async_distributed_lock locks{store, {.name = "exhausted"}};
    bool worked = false, failed = false;
    run_one([&]() -> awaitable<void> {
      try {
        co_await locks.work("a", [&]() -> awaitable<void> {
          worked = true;
          support::allocations_before_failure = -1;
          co_return;
        });
      } catch (const std::bad_alloc&) {
        failed = true;
      }
    });
    support::allocations_before_failure = -1;
    CHECK(store.inner.size() == 0);
    CHECK(worked != failed);
    if (failed) ++failures;
  }
  if (!OTLPKIT_TEST_SANITIZED) CHECK(failures > 0);
}

TEST_CASE("a lock that is held elsewhere, a store that blocks, and cancelling while waiting") {
  recorded out;
  asio::io_context io;
  asio::thread_pool pool{1};
  memory_lock_store store;
  otlpkit::offloaded awaited{pool, store};
  async_distributed_lock locks{awaited, {.name = "busy", .max_wait = 0s, .poll_interval = 1ms}};
  bool busy = false, aborted = false;
  run_one(io, [&]() -> awaitable<void> {
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
