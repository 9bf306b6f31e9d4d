// SPDX-License-Identifier: MIT
// Loads of a tiered cache that others wait for, overtake or share.
// emits: telemetry
#include <doctest/doctest.h>

#include "cache/tiered_fixture.hpp"

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <new>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

TEST_CASE("of many lookups of a key that nobody has one loads, and the others wait for it") {
  recorded out;
  tiered_cache<int> cache{plain("stampede")};
  std::atomic<int> loads{0}, wrong{0}, shared_flights{0};
  std::latch started{16};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      started.arrive_and_wait();
      const auto found = cache.get("a", [&] {
        ++loads;
        // Until all others wait or the first came back, nobody else can have loaded.
        std::this_thread::yield();
        return 7;
      });
      if (*found != 7) ++wrong;
      if (found.shared_flight()) ++shared_flights;
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(loads == 1);
  CHECK(wrong == 0);
  for (const auto& s : out.spans()) CHECK_FALSE(s.is_error());
}

TEST_CASE("those who wait get the loader's error, and the next lookup loads again") {
  recorded out;
  tiered_cache<int> cache{plain("failing")};
  std::atomic<bool> go{false};
  std::latch loading{1};
  std::atomic<int> errors{0};
  const auto count_error = [&](auto load) {
    try {
      static_cast<void>(cache.get("a", load));
    } catch (const std::runtime_error&) {
      ++errors;
    }
  };
  std::thread leader{[&] {
    count_error([&]() -> int {
      loading.count_down();
      while (!go) std::this_thread::yield();
      return fail();
    });
  }};
  loading.wait();
  // Whether it comes while the leader loads or afterwards, it fails: by the leader's error or by its own.
  std::thread follower{[&] { count_error([] { return fail(); }); }};
  go = true;
  leader.join();
  follower.join();
  CHECK(errors == 2);
  CHECK(*cache.get("a", [] { return 2; }) == 2);
}

TEST_CASE("a value that was set or taken away while an older one was loading is not replaced by it") {
  shared_cache<int> l2;
  tiered_cache cache{l2, plain("overtaken")};
  CHECK(*cache.get("a", [&] {
    cache.erase("a");
    return 1;
  }) == 1);
  CHECK_FALSE(l2.entries.get("a").has_value());
  CHECK(*cache.get("a", [&] {
    cache.set("a", 3);
    return 2;
  }) == 2);
  CHECK(*cache.get("a", [] { return 9; }) == 3);
  cache.erase("a");
  CHECK(*cache.get("a", [&] {
    cache.clear();
    return 6;
  }) == 6);
  CHECK_FALSE(l2.entries.get("a").has_value());
  CHECK(*cache.get("a", [] { return 7; }) == 7);
  // Between the check and the write to the shared cache: what was written is taken back.
  cache.erase("a");
  l2.before_set = [&] {
    l2.before_set = {};
    cache.erase("a");
  };
  CHECK(*cache.get("a", [] { return 4; }) == 4);
  CHECK_FALSE(l2.entries.get("a").has_value());
  CHECK(*cache.get("a", [] { return 5; }) == 5);
}

TEST_CASE("a value that was set or taken away while a load failed stays so") {
  tiered_cache_options o = plain("failed-load");
  o.refresh_ahead = 0.5;
  o.grace = 60s;
  for (const auto later : {5s, 10s}) {  // a refresh, and a load with an old value to fall back on
    tiered_cache<int> cache{o};
    cache.set("a", 1);
    pass(later);
    CHECK(*cache.get("a", [&] {
      cache.set("a", 2);
      return fail();
    }) == 1);
    CHECK(*cache.get("a", [] { return 9; }) == 2);
    pass(later);
    CHECK(*cache.get("a", [&] {
      cache.erase("a");
      return fail();
    }) == 2);
    CHECK(*cache.get("a", [] { return 3; }) == 3);
  }
}

TEST_CASE("a lookup that begins after a key was erased does not get what was loaded before") {
  tiered_cache<int> cache{plain("after")};
  CHECK(*cache.get("a", [&] {
    cache.erase("a");
    CHECK(*cache.get("a", [] { return 2; }) == 2);
    return 1;
  }) == 1);
  CHECK(*cache.get("a", [] { return 3; }) == 2);
}

TEST_CASE("a load comes to one end, and leaves alone those of its key that began after it was overtaken") {
  struct woken {
    int times = 0;
    void wake() noexcept { ++times; }
  };
  otlpkit::cache::detail::tiered_core<int, woken> core{plain("core")};
  const auto late = std::make_exception_ptr(std::runtime_error{"late"});
  const auto first = core.join("a");
  REQUIRE(first.leads);
  CHECK((core.join("a").flight == first.flight && !core.join("a").leads));
  core.forget("a");
  const auto second = core.join("a");
  REQUIRE((second.leads && second.flight != first.flight));
  CHECK_FALSE(core.finish(*first.flight, 1, lookup_level::l2));
  CHECK((first.flight->done && first.flight->value == 1 && first.flight->level == lookup_level::l2));
  CHECK(first.flight->waiters.times == 1);
  CHECK(core.join("a").flight == second.flight);

  core.abandon(*second.flight);
  CHECK((second.flight->done && second.flight->abandoned && second.flight->waiters.times == 1));
  core.fail(*second.flight, late);
  CHECK((second.flight->error == nullptr && second.flight->waiters.times == 1));

  const auto third = core.join("a");
  REQUIRE(third.leads);
  core.fail(*third.flight, late);
  CHECK((third.flight->done && third.flight->error == late && third.flight->waiters.times == 1));
  core.abandon(*third.flight);
  CHECK((!third.flight->abandoned && third.flight->waiters.times == 1));

  core.put("b", 2);
  const auto fourth = core.join("a");
  core.forget_all();
  CHECK(core.size() == 0);
  CHECK_FALSE(core.current(*fourth.flight));
  CHECK(core.join("a").leads);
}

TEST_CASE("what is refreshed in line is new, and a refresh that fails is an error of its own span") {
  recorded out;
  tiered_cache_options o = plain("refreshed");
  o.refresh_ahead = 0.5;
  o.record_key_hash = true;
  tiered_cache<int> cache{o};
  static_cast<void>(cache.get("a", [&] {
    CHECK(out.metric("otlpkit.cache.inflight_loads").at("otlpkit.cache.name=refreshed") == 1);
    return 1;
  }));
  CHECK(out.metric("otlpkit.cache.inflight_loads").at("otlpkit.cache.name=refreshed") == 0);
  pass(5s);
  CHECK(cache.get("a", [] { return 2; }).age_ns() == 0);
  pass(5s);
  CHECK(cache.get("a", [] { return fail(); }).age_ns() == 5'000'000'000);
  std::vector<bool> failed;
  for (const auto& s : out.spans()) {
    CHECK(s.attributes.at("otlpkit.cache.key_hash").as_string().size() > 0);
    if (s.name == "cache.refresh refreshed") failed.push_back(s.is_error());
  }
  CHECK(failed == std::vector<bool>{false, true});
}

TEST_CASE("a key as long as keys may be is kept, and a value for ever is there after a century") {
  tiered_cache_options o = plain("long");
  o.ttl = {};
  o.max_key_bytes = 3;
  tiered_cache<int> cache{o};
  CHECK(*cache.get("abc", [] { return 1; }) == 1);
  CHECK(cache.get("abcd", [] { return 1; }).outcome() == lookup_outcome::bypass);
  pass(24h * 36'500);
  CHECK(*cache.get("abc", [] { return 2; }) == 1);
}

TEST_CASE("a load that fails when the grace is over leaves nothing to give out") {
  tiered_cache_options o = plain("late");
  o.grace = 10s;
  o.retry_pause = 1h;
  tiered_cache<int> cache{o};
  static_cast<void>(cache.get("a", [] { return 1; }));
  pass(15s);
  CHECK(cache.get("a", [&] { return pass(100s), fail(); }).outcome() == lookup_outcome::stale);
  CHECK(*cache.get("a", [] { return 2; }) == 2);
}

TEST_CASE("a cache that goes waits for the refresh that runs") {
  tiered_cache_options o = plain("going");
  o.refresh_ahead = 0.5;
  std::function<void()> later;
  o.background = [&later](std::function<void()> fn) { later = std::move(fn); };
  auto cache = std::make_unique<tiered_cache<int>>(o);
  static_cast<void>(cache->get("a", [] { return 1; }));
  pass(5s);
  std::latch inside{1};
  std::atomic<bool> going{false}, loaded{false};
  static_cast<void>(cache->get("a", [&] {
    inside.count_down();
    while (!going) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    loaded = true;
    return 2;
  }));
  std::thread background{[&] { later(); }};
  inside.wait();
  going = true;
  cache.reset();
  CHECK(loaded);
  background.join();
}

TEST_CASE("what a lookup takes from the shared cache while a key is erased there is not kept") {
  shared_cache<int> l2;
  tiered_cache cache{l2, plain("erased")};
  cache.set("a", 1);
  l2.before_erase = [&] { CHECK(*cache.get("a", [] { return fail(); }) == 1); };
  CHECK(cache.erase("a"));
  CHECK(*cache.get("a", [] { return 2; }) == 2);
}

TEST_CASE("a lookup waits no longer than it may for another's load") {
  tiered_cache_options o = plain("impatient");
  o.max_wait = 1ms;
  tiered_cache<int> cache{o};
  std::atomic<bool> go{false};
  std::latch loading{1};
  std::thread leader{[&] {
    static_cast<void>(cache.get("a", [&] {
      loading.count_down();
      while (!go) std::this_thread::yield();
      return 1;
    }));
  }};
  loading.wait();
  CHECK(cache.get("a", [] { return 2; }).outcome() == lookup_outcome::bypass);
  go = true;
  leader.join();
  CHECK(*cache.get("a", [] { return 3; }) == 1);
}

TEST_CASE("wherever a copy of a value throws, the next lookup of the key finds no load that never ends") {
  recorded out;
  for (const bool background : {false, true}) {
    for (int copies = 0; copies < 8; ++copies) {
      INFO("background ", background, " copies ", copies);
      tiered_cache_options o = plain("fragile");
      o.refresh_ahead = 0.5;
      o.grace = 10s;
      o.max_wait = 1ms;
      if (background) o.background = [](std::function<void()> fn) { fn(); };
      tiered_cache<fragile> cache{o};
      const auto lookup = [&](int loaded) {
        fragile::copies_left = copies;
        try {
          static_cast<void>(cache.get("a", [loaded] { return fragile{loaded}; }));
        } catch (const std::bad_alloc&) {
        }
        fragile::copies_left = -1;
        const auto outcome = cache.get("a", [loaded] { return fragile{loaded}; }).outcome();
        CHECK(outcome != lookup_outcome::bypass);
      };
      lookup(1);
      pass(5s);
      lookup(2);
      pass(10s);
      lookup(3);
    }
  }
}

TEST_CASE("many threads that look up, set, erase and refresh see only values that were there") {
  recorded out;
  support::recording::queue(std::size_t{64} << 20, 200'000);
  shared_cache<int> l2;
  tiered_cache_options o = plain("threads");
  o.max_entries = 8;
  o.refresh_ahead = 0.1;
  o.grace = 1s;
  o.background = [](std::function<void()> fn) { std::thread{std::move(fn)}.join(); };
  tiered_cache cache{l2, o};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random{t + 1};
      for (int i = 0; i < 500; ++i) {
        const int number = static_cast<int>(random() % 16);
        const std::string key = std::to_string(number);
        const auto what = random() % 20;
        if (what == 0) cache.erase(key);
        if (what == 1) cache.set(key, number);
        if (what == 2) l2.down = !l2.down;
        if (what == 3) pass(1s);
        try {
          const auto found = cache.get(key, [number, fails = what == 4] { return fails ? fail() : number; });
          if (!found || *found != number) ++wrong;
        } catch (const std::runtime_error&) {
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(cache.size() <= 8);
  CHECK(out.metric("otlpkit.cache.inflight_loads")["otlpkit.cache.name=threads"] == 0);
}
