// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/lock/distributed_lock.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::lock::distributed_lock;
using otlpkit::lock::lock_busy_error;
using otlpkit::lock::lock_lost_error;
using otlpkit::lock::lock_options;
using otlpkit::lock::memory_lock_store;
using otlpkit::testing::manual_time;

namespace {

// The example of docs/lock.md.
memory_lock_store store;  // or a redis::lock_store
distributed_lock accounts{store, {.name = "account", .ttl = 30s, .max_wait = 2s}};
std::int64_t balance = 100, last_token = 0;

void withdraw(std::string_view account, std::int64_t amount) {
  accounts.work(account, [&](auto& held) {
    const auto token = static_cast<std::int64_t>(held.fencing_token());
    if (token < last_token) throw std::runtime_error{"an older holder of the lock"};
    last_token = token;
    balance -= amount;
  });
}

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

lock_options options(manual_time& time, std::string name) {
  return {.name = std::move(name),
          .ttl = 1s,
          .margin = 100ms,
          .max_wait = 1s,
          .poll_interval = 100ms,
          .jitter = 0,
          .record_key = true,
          .time = &time};
}

}  // namespace

TEST_CASE("the page's example: work under the lock, with a token that grows") {
  recorded out;
  withdraw("42", 30);
  const std::int64_t first = last_token;
  withdraw("42", 30);
  CHECK(balance == 40);
  CHECK(last_token > first);
  CHECK(store.size() == 0);
  const auto spans = out.spans();
  REQUIRE(spans.size() == 4);
  CHECK(spans[0].name == "lock.acquire account");
  CHECK(spans[1].name == "lock.hold account");
  CHECK(spans[1].parent_id == spans[0].parent_id);  // side by side
}

TEST_CASE("a held lock is nobody else's until it is given back, and both are on spans and in metrics") {
  recorded out;
  manual_time time;
  memory_lock_store s{time};
  distributed_lock locks{s, options(time, "plain")};
  {
    auto held = locks.acquire("a");
    CHECK_FALSE(otlpkit::current_context().valid());
    CHECK(held.valid());
    CHECK_FALSE(locks.try_acquire("a").has_value());
    CHECK(locks.try_acquire("b").has_value());
    CHECK(out.metric("otlpkit.lock.active")["otlpkit.lock.name=plain,otlpkit.lock.state=held"] == 1);
    time.advance(200ms);
    CHECK(held.renew());
    CHECK(held.release());
    CHECK_FALSE(held.release());
    CHECK_FALSE(held.valid());
  }
  auto again = locks.try_acquire("a");
  REQUIRE(again.has_value());
  again.reset();
  const auto spans = out.spans();
  const auto& acquired = spans[0];
  CHECK(acquired.name == "lock.acquire plain");
  CHECK(acquired.attributes["otlpkit.lock.outcome"] == "acquired");
  CHECK(acquired.attributes["otlpkit.lock.attempts"] == 1);
  CHECK(acquired.attributes["otlpkit.lock.contended"] == false);
  CHECK(acquired.attributes["otlpkit.lock.key"] == "a");
  CHECK(spans[1].attributes["otlpkit.lock.outcome"] == "timeout");
  CHECK_FALSE(spans[1].is_error());  // one attempt, and that it fails was to be expected
  const auto& hold = spans[4];
  CHECK(hold.parent_id.empty());
  CHECK(hold.name == "lock.hold plain");
  CHECK(hold.attributes["otlpkit.lock.renewals"] == 1);
  CHECK(hold.attributes["otlpkit.lock.released"] == true);
  CHECK(hold.attributes["otlpkit.lock.lost"] == false);
  CHECK(hold.attributes["otlpkit.lock.owner"] == acquired.attributes["otlpkit.lock.owner"]);
  CHECK(hold.attributes["otlpkit.lock.fencing_token"] == acquired.attributes["otlpkit.lock.fencing_token"]);
  CHECK(out.metric("otlpkit.lock.active")["otlpkit.lock.name=plain,otlpkit.lock.state=held"] == 0);
  CHECK(out.metric("otlpkit.lock.active")["otlpkit.lock.name=plain,otlpkit.lock.state=waiting"] == 0);
  CHECK(out.metric("otlpkit.lock.acquisitions")["otlpkit.lock.name=plain,otlpkit.lock.outcome=acquired"] == 3);
  CHECK(out.metric("otlpkit.lock.hold.duration")["otlpkit.lock.name=plain"] == 3);
  CHECK(out.metric("otlpkit.lock.wait.duration")["otlpkit.lock.name=plain,otlpkit.lock.outcome=timeout"] == 1);
}

TEST_CASE("acquire polls until its deadline, and takes over what was not renewed") {
  recorded out;
  manual_time time;
  memory_lock_store s{time};
  lock_options o = options(time, "waits");
  o.max_wait = 250ms;
  distributed_lock locks{s, o};
  auto first = locks.acquire("a");
  static_cast<void>(time.take_waits());
  CHECK_THROWS_WITH_AS(static_cast<void>(locks.acquire("a")), "waits: the lock is held elsewhere", lock_busy_error);
  CHECK(time.take_waits() == std::vector<std::chrono::nanoseconds>{100ms, 100ms, 50ms});
  auto second = locks.acquire("a", 10s);
  CHECK(second.fencing_token() > first.fencing_token());
  CHECK_FALSE(first.valid());
  CHECK_THROWS_AS(first.ensure(), lock_lost_error);
  CHECK(first.lost_token().stop_requested());
  CHECK_FALSE(first.release());  // which does not take the second's lock away
  CHECK(second.valid());
  CHECK(second.renew());
  const auto spans = out.spans();
  CHECK(spans[1].is_error());
  CHECK(spans[1].attributes["error.type"] == "timed_out");
  CHECK(spans[1].attributes["otlpkit.lock.attempts"] == 4);
  CHECK(spans[1].attributes["otlpkit.lock.contended"] == true);
  const auto& lost = recorded::only(spans, "lock.hold waits");
  CHECK(lost.is_error());
  CHECK(lost.attributes["error.type"] == "lock_lost");
  CHECK(lost.attributes["otlpkit.lock.brain_split"] == false);
  CHECK(out.metric("otlpkit.lock.watchdog_triggers")["otlpkit.lock.name=waits"] == 1);
}

TEST_CASE("intervals are jittered, up to their share") {
  static std::uint64_t random = 0;
  manual_time time;
  memory_lock_store s{time};
  lock_options o = options(time, "jitter");
  o.jitter = 0.5;
  o.random = []() noexcept { return random; };
  distributed_lock locks{s, o};
  auto first = locks.acquire("a");
  CHECK_THROWS_AS(static_cast<void>(locks.acquire("a", 50ms)), lock_busy_error);
  CHECK(time.take_waits() == std::vector<std::chrono::nanoseconds>{50ms});
  random = UINT64_MAX;
  CHECK_THROWS_AS(static_cast<void>(locks.acquire("a", 200ms)), lock_busy_error);
  const auto waits = time.take_waits();
  REQUIRE(waits.size() == 2);
  CHECK(waits[0] > 149ms);
  CHECK(waits[0] <= 150ms);
}

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
  auto held = locks.acquire("a");
  s.takes = 950ms;
  CHECK_FALSE(held.renew());  // renewed there, but it took so long that nobody can rely on it
  CHECK_FALSE(held.valid());
}

TEST_CASE("work that fails gives the lock back, and work that ends without the lock is an error") {
  recorded out;
  manual_time time;
  memory_lock_store s{time};
  distributed_lock locks{s, options(time, "work")};
  CHECK_THROWS_WITH_AS(locks.work("a", []() -> int { throw std::runtime_error{"no money"}; }), "no money",
                       std::runtime_error);
  CHECK(s.size() == 0);
  CHECK(locks.work("a", [] { return 3; }) == 3);
  int here = 4;
  int& same = locks.work("a", [&]() -> int& { return here; });
  CHECK(&same == &here);
  CHECK_THROWS_AS(locks.work("a", [&] { time.advance(2s); }), lock_lost_error);
  locks.work("a", [&] {
    OTLPKIT_SPAN("caller step");
    CHECK_THROWS_AS(locks.work("a", 0s, [] {}), lock_busy_error);
  });
  const auto spans = out.spans();
  CHECK(spans[1].is_error());
  CHECK(spans[1].attributes["error.type"] == "std::runtime_error");
  for (const auto& span : spans) {
    if (span.name == "caller step") CHECK(span.parent_id == spans.back().span_id);
  }
  CHECK(out.metric("otlpkit.lock.task_failures")["otlpkit.lock.name=work"] == 2);
}

TEST_CASE("a thread renews what is held, and notices when the store gave it up") {
  recorded out;
  memory_lock_store s;
  distributed_lock locks{s, {.name = "renewed", .ttl = 60ms, .margin = 10ms, .renew_in_background = true}};
  auto held = locks.acquire("a");
  auto other = locks.acquire("b");
  const auto begin = std::chrono::steady_clock::now();
  while (held.valid() && std::chrono::steady_clock::now() < begin + 200ms) std::this_thread::sleep_for(1ms);
  if (held.valid()) {  // else this machine was too slow to renew anything
    CHECK(std::chrono::steady_clock::now() >= begin + 200ms);
    CHECK_FALSE(locks.try_acquire("a").has_value());
  }
  std::string owner;
  other.release();
  for (const auto& span : out.spans()) {
    if (span.name == "lock.acquire renewed" && span.attributes["otlpkit.lock.outcome"] == "acquired" && owner.empty())
      owner = span.attributes["otlpkit.lock.owner"].as_string();
  }
  static_cast<void>(s.release("renewed:a", owner));
  while (!held.lost_token().stop_requested()) std::this_thread::sleep_for(1ms);
  CHECK_FALSE(held.valid());
}

TEST_CASE("options that make no sense are refused by name") {
  memory_lock_store s;
  const auto refused = [&](lock_options o) {
    try {
      const distributed_lock locks{s, std::move(o)};
    } catch (const otlpkit::config_error& e) {
      return e.setting();
    }
    return std::string{};
  };
  CHECK(refused({.ttl = 0s}) == "lock_options.ttl");
  CHECK(refused({.ttl = 1s, .margin = 1s}) == "lock_options.margin");
  CHECK(refused({.poll_interval = 0s}) == "lock_options.poll_interval");
  CHECK(refused({.jitter = 1.5}) == "lock_options.jitter");
  CHECK(refused({}) == "");
}

TEST_CASE("locks that ended without release do not pile up") {
  manual_time time;
  memory_lock_store s{time};
  for (int i = 0; i < 10'000; ++i) {
    static_cast<void>(s.acquire(std::to_string(i), "x", 10ms));
    time.advance(1ms);
  }
  CHECK(s.size() <= 64);
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
  std::atomic<int> inside{0}, wrong{0};
  std::uint64_t token = 0;
  int done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) {
        locks.work("a", [&](auto& held) {
          if (++inside != 1 || held.fencing_token() <= token) ++wrong;
          token = held.fencing_token();
          ++done;
          --inside;
        });
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(done == 100);
}
