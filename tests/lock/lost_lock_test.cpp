// SPDX-License-Identifier: MIT
// Locks whose store fails, forgets or is late, and holders that race for one.
// emits: telemetry
#include <doctest/doctest.h>

#include "lock/lock_race.hpp"
#include "lock/troubled_store.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

TEST_CASE("a store that gives the lock away while it is relied on is a brain split, noticed by the next renewal") {
  recorded out;
  manual_time time;
  troubled_store s{.time = time};
  distributed_lock locks{s, options(time, "split")};
  auto held = locks.acquire("a");
  s.kept.release("split:a", "");  // not the owner: nothing happens
  CHECK(held.renew());
  std::string owner;
  for (const auto& span : out.spans()) owner = span.attributes["otlpkit.lock.owner"].as_string();
  REQUIRE(s.kept.release("split:a", owner));  // the store forgets
  auto other = locks.try_acquire("a");
  REQUIRE(other.has_value());
  CHECK(held.valid());  // it cannot know yet: this is what the fencing token is for
  CHECK(other->fencing_token() > held.fencing_token());
  CHECK_FALSE(held.renew());
  CHECK_FALSE(held.valid());
  held.release();
  const auto spans = out.spans();
  CHECK(recorded::only(spans, "lock.hold split").attributes["otlpkit.lock.brain_split"] == true);
  CHECK(out.metric("otlpkit.lock.brain_splits")["otlpkit.lock.name=split"] == 1);
  CHECK(out.metric("otlpkit.lock.renewals")["otlpkit.lock.name=split,otlpkit.lock.outcome=lost"] == 1);
  CHECK(other->valid());
}

TEST_CASE("a store that does not answer leaves the lock as good as it was, and its end is not overstepped") {
  recorded out;
  manual_time time;
  troubled_store s{.time = time};
  distributed_lock locks{s, options(time, "silent")};
  auto held = locks.acquire("a");
  s.down = true;
  time.advance(899ms);
  CHECK_FALSE(held.renew());
  CHECK(held.valid());
  time.advance(1ms);  // the margin is reached
  CHECK_FALSE(held.valid());
  CHECK_FALSE(held.renew());
  CHECK_FALSE(held.release());
  CHECK_THROWS_WITH_AS(static_cast<void>(locks.acquire("b")), "the store does not answer", std::runtime_error);
  const auto spans = out.spans();
  CHECK(recorded::events(recorded::only(spans, "lock.hold silent")) == "exception");
  CHECK(spans.back().attributes["otlpkit.lock.outcome"] == "error");
  CHECK(spans.back().is_error());
  CHECK(out.metric("otlpkit.lock.renewals")["otlpkit.lock.name=silent,otlpkit.lock.outcome=error"] == 1);
}

TEST_CASE("an answer that comes when the lock is over is none, and what may have been given is given back") {
  manual_time time;
  troubled_store s{.time = time};
  distributed_lock locks{s, options(time, "late")};
  s.takes = 950ms;
  CHECK_THROWS_AS(static_cast<void>(locks.acquire("a", 0s)), lock_busy_error);
  CHECK(s.kept.size() == 0);
  s.takes = 0s;
  s.loses_answers = true;
  CHECK_THROWS_AS(static_cast<void>(locks.acquire("a", 0s)), std::runtime_error);
  CHECK(s.kept.size() == 0);
  s.loses_answers = false;
  CHECK(s.kept.acquire("b", "me", 1s).has_value());
  CHECK(s.kept.acquire("b", "me", 1s).has_value());  // asks again, as it did not hear that it has it
  auto held = locks.acquire("a");
  s.takes = 950ms;
  CHECK_FALSE(held.renew());  // renewed there, but it took so long that nobody can rely on it
  CHECK_FALSE(held.valid());
}

TEST_CASE("a thread renews what is held, and notices when the store gave it up") {
  recorded out;
  manual_time time;  // the thread lets it pass: it waits for nothing else
  memory_lock_store s{time};
  distributed_lock locks{s,
                         {.name = "renewed", .ttl = 60ms, .margin = 10ms, .renew_in_background = true, .time = &time}};
  const auto begin = time.now();
  auto held = locks.acquire("a");
  auto other = locks.acquire("b");
  while (held.valid() && time.now() < begin + 1s) std::this_thread::yield();
  CHECK(held.valid());
  CHECK_FALSE(locks.try_acquire("a").has_value());
  CHECK(other.release());
  std::string owner;
  for (const auto& span : out.spans()) {
    if (span.name == "lock.acquire renewed" && owner.empty()) owner = span.attributes["otlpkit.lock.owner"].as_string();
  }
  CHECK(s.release("renewed:a", owner));
  while (!held.lost_token().stop_requested()) std::this_thread::yield();
  CHECK_FALSE(held.valid());
}

TEST_CASE("work that ended well is an error if the store had given its lock away, not if it does not answer") {
  recorded out;
  manual_time time;
  troubled_store s{.time = time};
  distributed_lock locks{s, options(time, "refused")};
  CHECK_THROWS_AS(locks.work("a", [&] { REQUIRE(s.kept.release("refused:a", last_owner(out, "refused"))); }),
                  lock_lost_error);
  CHECK_THROWS_AS(static_cast<void>(locks.work("a",
                                               [&] {
                                                 REQUIRE(s.kept.release("refused:a", last_owner(out, "refused")));
                                                 return 1;
                                               })),
                  lock_lost_error);
  CHECK(out.metric("otlpkit.lock.brain_splits")["otlpkit.lock.name=refused"] == 2);
  CHECK(locks.work("a", [&] {
    s.down = true;
    return 2;
  }) == 2);
}

TEST_CASE("thousands of random sequences of several holders end as a plain model of them says") {
  struct belief {
    std::optional<otlpkit::lock::held_lock<troubled_store&>> held;
    std::uint64_t store_end = 0;  ///< when the store frees it
    bool lost = false;
  };
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random{seed};
    manual_time time;
    troubled_store s{.time = time};
    lock_options o = options(time, "model");
    o.max_wait = 0s;
    distributed_lock locks{s, o};
    belief holders[3];
    std::uint64_t best_token = 0;
    const auto now = [&] { return static_cast<std::uint64_t>(time.now().time_since_epoch().count()); };
    const auto owner = [&]() -> belief* {  // whose the store says the lock is
      for (belief& b : holders) {
        if (b.store_end > now()) return &b;
      }
      return nullptr;
    };
    for (int step = 0; step < 40; ++step) {
      belief& b = holders[random() % 3];
      INFO("seed ", seed, " step ", step);
      switch (random() % 6) {
        case 0: time.advance(std::chrono::milliseconds{random() % 600}); break;
        case 1: s.down = random() % 4 == 0; break;
        case 2:
          if (b.held) {
            const bool ours = owner() == &b && !s.down;
            const bool in_time = b.held->valid();
            REQUIRE(b.held->release() == (ours && in_time));
            if (ours) b.store_end = 0;
            b.held.reset();
          }
          break;
        case 3:
          if (b.held) {
            const bool good = b.held->valid() && !s.down;
            REQUIRE(b.held->renew() == good);
            if (good) b.store_end = now() + 1'000'000'000;
          }
          break;
        default:
          if (!b.held) {
            const bool free = owner() == nullptr;
            try {
              b.held = locks.try_acquire("k");
              REQUIRE_FALSE(s.down);
              REQUIRE(b.held.has_value() == free);
            } catch (const std::runtime_error&) {
              REQUIRE(s.down);
            }
            if (b.held) {
              for (belief& other : holders) other.store_end = 0;
              b.store_end = now() + 1'000'000'000;
              REQUIRE(b.held->fencing_token() > best_token);
              best_token = b.held->fencing_token();
            }
          }
      }
      int relied_on = 0;
      for (belief& each : holders) {
        if (!each.held || !each.held->valid()) continue;
        ++relied_on;
        REQUIRE(owner() == &each);  // whoever relies on it has it
      }
      REQUIRE(relied_on <= 1);
    }
  }
}

TEST_CASE("many threads: one at a time has the lock, and tokens grow") {
  memory_lock_store s;
  distributed_lock locks{s, {.name = "threads", .max_wait = 60s, .poll_interval = 1ms, .renew_in_background = true}};
  lock_race race;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { race.run(locks, 25); });
  for (std::thread& t : threads) t.join();
  CHECK(race.wrong == 0);
  CHECK(race.done == 100);
}
