// SPDX-License-Identifier: MIT
// emits: telemetry
#include <doctest/doctest.h>

#include "lock/troubled_store.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

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

TEST_CASE("what the store is asked about a lock is part of the lock's own spans, wherever it is asked from") {
  recorded out;
  struct traced_store : memory_lock_store {
    std::optional<std::uint64_t> acquire(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
      OTLPKIT_SPAN("caller.store acquire");
      return memory_lock_store::acquire(key, owner, ttl);
    }
    bool renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
      OTLPKIT_SPAN("caller.store renew");
      return memory_lock_store::renew(key, owner, ttl);
    }
    bool release(std::string_view key, std::string_view owner) {
      OTLPKIT_SPAN("caller.store release");
      return memory_lock_store::release(key, owner);
    }
  } traced;
  distributed_lock locks{traced, {.name = "asked"}};
  auto held = [&] {
    OTLPKIT_SPAN("caller");
    return locks.acquire("k");
  }();
  std::thread{[&] { CHECK(held.renew()); }}.join();
  {
    OTLPKIT_SPAN("caller elsewhere");
    CHECK(held.release());
  }
  const auto spans = out.spans();
  const auto& hold = recorded::only(spans, "lock.hold asked");
  CHECK(recorded::only(spans, "caller.store acquire").parent_id == recorded::only(spans, "lock.acquire asked").span_id);
  CHECK(recorded::only(spans, "caller.store renew").parent_id == hold.span_id);
  CHECK(recorded::only(spans, "caller.store renew").trace_id == hold.trace_id);
  CHECK(recorded::only(spans, "caller.store release").parent_id == hold.span_id);
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

TEST_CASE("options that make no sense are refused by name") {
  memory_lock_store s;
  const auto refused = [&](lock_options o) {
    try {
      const distributed_lock locks{s, std::move(o)};
    } catch (const otlpkit::config_error& e) {
      return std::string{e.what()};
    }
    return std::string{};
  };
  CHECK(refused({.ttl = 0s}) == "lock_options.ttl: got 0 ns, expected a millisecond to a year");
  CHECK(refused({.ttl = std::chrono::nanoseconds::max()}) ==
        "lock_options.ttl: got 9223372036854775807 ns, expected a millisecond to a year");
  CHECK(refused({.ttl = 24h * 366}).starts_with("lock_options.ttl: got "));
  CHECK(refused({.ttl = 1s, .margin = 1s}).starts_with("lock_options.margin: got "));
  CHECK(refused({.poll_interval = 0s}).starts_with("lock_options.poll_interval: got "));
  CHECK(refused({.poll_interval = std::chrono::nanoseconds::max()}).starts_with("lock_options.poll_interval: got "));
  CHECK(refused({.jitter = 1.5}).starts_with("lock_options.jitter: got "));
  CHECK(refused({}) == "");
  CHECK(refused({.ttl = 24h * 365}) == "");
}

TEST_CASE("keys of any length and content are locked, and are on no span unless asked for") {
  recorded out;
  memory_lock_store s;
  distributed_lock locks{s, {.name = "hostile", .max_wait = 0s}};
  for (const std::string& key : {std::string(1 << 20, 'k'), std::string{"\xff\0\r\n'\"", 6}, std::string{}}) {
    auto held = locks.acquire(key);
    CHECK_FALSE(locks.try_acquire(key).has_value());
    CHECK(locks.try_acquire(key + "x").has_value());
    CHECK(held.release());
  }
  CHECK(s.size() == 0);
  for (const auto& span : out.spans()) {
    for (const auto& [name, value] : span.attributes) CHECK(value.as_string().size() <= 32);
  }
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
