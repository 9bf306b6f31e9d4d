// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/asio/tiered_cache.hpp>

#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include "cache/tiered_fixture.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>

namespace {

using otlpkit::cache::async_tiered_cache;

awaitable<int> value(int v) {
  co_await asio::post(asio::use_awaitable);
  co_return v;
}
awaitable<int> failing() {
  co_await asio::post(asio::use_awaitable);
  throw std::runtime_error{"the database does not answer"};
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

TEST_CASE("a lookup that waits may go with its io_context before the load it waits for ends") {
  async_tiered_cache<int> cache{{.name = "gone"}};
  asio::io_context leads;
  asio::steady_timer gate{leads, asio::steady_timer::time_point::max()};
  int found = 0;
  otlpkit::co_spawn(
      leads,
      [&]() -> awaitable<void> {
        found = *co_await cache.get("a", [&]() -> awaitable<int> {
          co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
          co_return 1;
        });
      },
      asio::detached);
  leads.poll();
  {
    asio::io_context waits;
    otlpkit::co_spawn(
        waits, [&]() -> awaitable<void> { static_cast<void>(co_await cache.get("a", [] { return value(2); })); },
        asio::detached);
    waits.poll();
  }
  gate.cancel();
  leads.run();
  CHECK(found == 1);
}

TEST_CASE("wherever a copy of a value throws, the next awaited lookup of the key finds no load that never ends") {
  for (int copies = 0; copies < 8; ++copies) {
    INFO("copies ", copies);
    tiered_cache_options o = plain("fragile");
    o.refresh_ahead = 0.5;
    o.grace = 10s;
    o.max_wait = 1ms;
    async_tiered_cache<fragile> cache{o};
    const auto lookup = [&](int loaded) {
      const auto load = [loaded]() -> awaitable<fragile> { co_return fragile{loaded}; };
      run_one([&]() -> awaitable<void> {
        fragile::copies_left = copies;
        try {
          static_cast<void>(co_await cache.get("a", load));
        } catch (const std::bad_alloc&) {
        }
        fragile::copies_left = -1;
        const auto again = co_await cache.get("a", load);
        EXPECT(again.outcome() != lookup_outcome::bypass);
      });
    };
    lookup(1);
    pass(5s);
    lookup(2);
    pass(10s);
    lookup(3);
  }
  CHECK(counted.wrong == 0);
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
    time_now += 5'000'000'000;
    int failed = 0;
    const auto count_failing = [&failed]() -> awaitable<int> {
      ++failed;
      return failing();
    };
    for (int i = 0; i < 2; ++i) {  // the second lookup leaves the loader alone
      const auto kept = co_await cache.get("a", count_failing);
      EXPECT(*kept == 2 && kept.outcome() == (i == 0 ? lookup_outcome::refresh : lookup_outcome::hit));
      co_await sleep_for(2ms);
    }
    EXPECT(failed == 1);
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
  run_one(io, work);
  CHECK(done == 1);
  CHECK(counted.wrong == 0);
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
