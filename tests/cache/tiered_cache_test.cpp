// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/cache/encoded_cache.hpp>

#include <doctest/doctest.h>

#include "cache/tiered_fixture.hpp"

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
#include <utility>
#include <vector>

namespace {

std::optional<std::string> load_name(std::string_view id) {
  if (id == "u-1") return "Ada";
  return std::nullopt;
}

// The example of docs/cache.md.
memory_cache<std::string> shared;  // or a redis::cache_store
tiered_cache names{shared, {.name = "names", .ttl = 30s, .shared_ttl = 5min, .negative_ttl = 5s}};

std::string name_of(std::string_view id) {
  const auto found = names.get(id, [&] { return load_name(id); });
  return found ? *found : "nobody";
}

}  // namespace

TEST_CASE("the page's example: names come from the loader, then from the cache") {
  recorded out;
  CHECK(name_of("u-1") == "Ada");
  CHECK(name_of("u-1") == "Ada");
  CHECK(name_of("u-2") == "nobody");
  CHECK(name_of("u-2") == "nobody");
  const auto spans = out.spans();
  REQUIRE(spans.size() == 4);
  CHECK(spans[0].attributes["otlpkit.cache.outcome"] == "miss");
  CHECK(spans[1].attributes["otlpkit.cache.outcome"] == "hit");
  CHECK(spans[3].attributes["otlpkit.cache.outcome"] == "negative");
  CHECK(shared.get("u-1") == "Ada");
}

TEST_CASE("each level is asked in turn, fills those above it, and is named on the span") {
  recorded out;
  shared_cache<int> l2;
  tiered_cache cache{l2, plain("accounts")};
  int loads = 0;
  const auto get = [&] {
    return cache.get("a", [&] {
      OTLPKIT_SPAN("caller load");
      return ++loads;
    });
  };
  CHECK(get().level() == lookup_level::l3);
  CHECK(l2.entries.get("a") == 1);
  CHECK(get().level() == lookup_level::l1);
  pass(10s);
  const auto again = get();  // L1 is over, L2 is not
  CHECK(again.level() == lookup_level::l2);
  CHECK(again.outcome() == lookup_outcome::hit);
  CHECK(*get() == 1);
  CHECK(loads == 1);
  pass(100s);
  CHECK(*get() == 2);
  const auto spans = out.spans();
  REQUIRE(spans.size() == 7);
  CHECK(spans[0].parent_id == spans[1].span_id);  // what the loader does is a child of the lookup
  const auto said = [](const auto& s) {
    return s.name + " " + std::string{s.attributes["otlpkit.cache.outcome"].as_string()} + " " +
           std::string{s.attributes["otlpkit.cache.level"].as_string()};
  };
  CHECK(said(spans[1]) == "cache.get accounts miss L3");
  CHECK(said(spans[2]) == "cache.get accounts hit L1");
  CHECK(spans[2].attributes["otlpkit.cache.age_ms"] == 0);
  CHECK(said(spans[3]) == "cache.get accounts hit L2");
  auto lookups = out.metric("otlpkit.cache.lookups");
  CHECK(lookups["otlpkit.cache.level=L1,otlpkit.cache.name=accounts,otlpkit.cache.outcome=hit"] == 2);
  CHECK(lookups["otlpkit.cache.level=L2,otlpkit.cache.name=accounts,otlpkit.cache.outcome=hit"] == 1);
  CHECK(lookups["otlpkit.cache.level=L3,otlpkit.cache.name=accounts,otlpkit.cache.outcome=miss"] == 2);
  CHECK(out.metric("otlpkit.cache.entries")["otlpkit.cache.name=accounts"] == 1);
  CHECK(out.metric("otlpkit.cache.inflight_loads")["otlpkit.cache.name=accounts"] == 0);
  CHECK(out.metric("otlpkit.cache.load.duration")["otlpkit.cache.name=accounts,otlpkit.cache.outcome=miss"] == 2);
  CHECK(out.metric("otlpkit.cache.evictions")["otlpkit.cache.eviction.reason=expired,otlpkit.cache.name=accounts"] ==
        2);
}

TEST_CASE("a shared cache that fails is recorded and counted, and the lookup succeeds without it") {
  recorded out;
  shared_cache<int> l2;
  tiered_cache cache{l2, plain("down")};
  l2.down = true;
  CHECK(*cache.get("a", [] { return 1; }) == 1);
  CHECK_FALSE(cache.set("b", 2));
  CHECK_FALSE(cache.erase("b"));
  const auto spans = out.spans();
  REQUIRE(spans.size() == 3);
  CHECK(recorded::events(spans[0]) == "exception exception");
  CHECK(spans[0].events[0].attributes["otlpkit.cache.level"] == "L2");
  CHECK_FALSE(spans[0].is_error());
  CHECK(spans[1].name == "cache.set down");
  CHECK(spans[1].is_error());
  CHECK(spans[2].name == "cache.erase down");
  CHECK(spans[2].is_error());
  auto errors = out.metric("otlpkit.cache.errors");
  const auto count = [&](const std::string& operation) {
    return errors
        ["error.type=std::runtime_error,otlpkit.cache.level=L2,otlpkit.cache.name=down,otlpkit.cache."
         "operation=" +
         operation];
  };
  CHECK(count("get") == 1);
  CHECK(count("set") == 2);
  CHECK(count("erase") == 1);
}

TEST_CASE("what does not exist is remembered for the negative time, if there is one") {
  tiered_cache_options o = plain("negative");
  o.negative_ttl = 3s;
  tiered_cache<int> cache{o}, forgetful{plain("forgetful")};
  int loads = 0;
  const auto none = [&]() -> std::optional<int> {
    ++loads;
    return std::nullopt;
  };
  CHECK(cache.get("a", none).outcome() == lookup_outcome::miss);
  CHECK(cache.get("a", none).outcome() == lookup_outcome::negative);
  pass(3s);
  CHECK(cache.get("a", none).outcome() == lookup_outcome::miss);
  CHECK(loads == 2);
  static_cast<void>(forgetful.get("a", none));
  static_cast<void>(forgetful.get("a", none));
  CHECK(loads == 4);
}

TEST_CASE("a failing loader gives out the value past its time, for the grace and with pauses, then its error") {
  recorded out;
  tiered_cache_options o = plain("graceful");
  o.grace = 60s;
  o.retry_pause = 2s;
  tiered_cache<int> cache{o};
  int loads = 0;
  const auto failing = [&]() -> int {
    ++loads;
    return fail();
  };
  CHECK_THROWS_WITH_AS(static_cast<void>(cache.get("a", failing)), "the database does not answer", std::runtime_error);
  static_cast<void>(cache.get("a", [] { return 1; }));
  pass(10s);
  const auto stale = cache.get("a", failing);
  CHECK(stale.outcome() == lookup_outcome::stale);
  CHECK(*stale == 1);
  CHECK(stale.age_ns() == 10'000'000'000);
  CHECK(cache.get("a", failing).outcome() == lookup_outcome::stale);
  CHECK(loads == 2);  // the pause
  pass(2s);
  CHECK(cache.get("a", failing).outcome() == lookup_outcome::stale);
  CHECK(loads == 3);
  pass(58s);
  CHECK_THROWS_AS(static_cast<void>(cache.get("a", failing)), std::runtime_error);
  CHECK(*cache.get("a", [] { return 2; }) == 2);
  const auto spans = out.spans();
  CHECK(spans[0].is_error());
  CHECK(spans[0].attributes["otlpkit.cache.outcome"] == "error");
  CHECK(spans[0].attributes["error.type"] == "std::runtime_error");
  CHECK_FALSE(spans[2].is_error());
  CHECK(recorded::events(spans[2]) == "exception");
  CHECK(spans[3].events.empty());
}

TEST_CASE("a value is refreshed ahead of its end by one lookup, in line or in the background") {
  recorded out;
  tiered_cache_options o = plain("ahead");
  o.refresh_ahead = 0.5;
  tiered_cache<int> in_line{o};
  static_cast<void>(in_line.get("a", [] { return 1; }));
  pass(5s);
  const auto refreshed = in_line.get("a", [] { return 2; });
  CHECK(refreshed.outcome() == lookup_outcome::refresh);
  CHECK(*refreshed == 2);
  CHECK(in_line.get("a", [] { return 3; }).outcome() == lookup_outcome::hit);
  pass(5s);
  CHECK(*in_line.get("a", [] { return fail(); }) == 2);  // a refresh that fails leaves what is there
  CHECK(in_line.get("a", [] { return fail(); }).outcome() == lookup_outcome::hit);

  std::vector<std::function<void()>> later;
  o.background = [&later](std::function<void()> fn) { later.push_back(std::move(fn)); };
  {
    tiered_cache<int> cache{o};
    static_cast<void>(cache.get("a", [] { return 1; }));
    pass(5s);
    const auto before = cache.get("a", [] { return 2; });
    CHECK(before.outcome() == lookup_outcome::refresh);
    CHECK(*before == 1);
    CHECK(cache.get("a", [] { return 9; }).outcome() == lookup_outcome::hit);  // one refresh is enough
    REQUIRE(later.size() == 1);
    later[0]();
    CHECK(*cache.get("a", [] { return 9; }) == 2);
    later.clear();
    pass(5s);
    static_cast<void>(cache.get("a", [] { return 3; }));
    REQUIRE(later.size() == 1);
    later.clear();  // dropped: the next lookup may try again
    CHECK(cache.get("a", [] { return 3; }).outcome() == lookup_outcome::refresh);
  }
  REQUIRE(later.size() == 1);
  later[0]();  // the cache is gone: nothing happens
  int refreshes = 0, detached = 0;
  for (const auto& s : out.spans()) {
    if (s.name != "cache.refresh ahead") continue;
    ++refreshes;
    if (s.attributes.contains("otlpkit.detached")) ++detached;
  }
  CHECK(refreshes == 3);
  CHECK(detached == 1);
}

TEST_CASE("a loader that asks for its own key, and a key that is too long, go past the cache") {
  recorded out;
  tiered_cache_options o = plain("bypass");
  o.record_key_hash = true;
  tiered_cache<int> cache{o};
  CHECK(*cache.get("a", [&] { return *cache.get("a", [] { return 1; }) + 1; }) == 2);
  const std::string key(1 << 20, '\0');
  CHECK(cache.get(key, [] { return 3; }).outcome() == lookup_outcome::bypass);
  cache.set(key, 4);
  CHECK(cache.get(key, [] { return 5; }).outcome() == lookup_outcome::bypass);
  CHECK_THROWS_AS(static_cast<void>(cache.get(key, [] { return fail(); })), std::runtime_error);
  CHECK(cache.size() == 1);
  const std::string binary{"\xff\0\x01", 3};
  CHECK(*cache.get(binary, [] { return 6; }) == 6);
  CHECK(*cache.get(binary, [] { return 7; }) == 6);
  CHECK(cache.erase(binary));
  for (const auto& s : out.spans()) {
    for (const auto& [name, value] : s.attributes) CHECK(value.as_string().size() < 100);
  }
}

TEST_CASE("jitter shortens lifetimes, and only shortens them") {
  static std::atomic<std::uint64_t> random{0};
  tiered_cache_options o = plain("jitter");
  o.jitter = 0.5;
  o.random = []() noexcept -> std::uint64_t { return random; };
  tiered_cache<int> cache{o};
  const auto lifetime = [&] {
    cache.set("a", 1);
    std::chrono::nanoseconds lived{0};
    while (cache.get("a", [] { return 2; }).outcome() == lookup_outcome::hit) {
      pass(100ms);
      lived += 100ms;
    }
    return lived;
  };
  CHECK(lifetime() == 10s);
  random = UINT64_MAX;
  CHECK(lifetime() == 5100ms);
  o.jitter = 1;
  CHECK_THROWS_AS(tiered_cache<int>{o}, otlpkit::config_error);
  o.jitter = 0;
  o.refresh_ahead = -0.1;
  CHECK_THROWS_AS(tiered_cache<int>{o}, otlpkit::config_error);
}

TEST_CASE("values of any kind go through a cache of texts, and text that does not decode is not there") {
  struct codec {
    [[nodiscard]] std::string encode(int v) const { return std::to_string(v); }
    [[nodiscard]] std::optional<int> decode(std::string_view text) const {
      if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;
      return text[0] - '0';
    }
  };
  memory_cache<std::string> texts;
  tiered_cache cache{otlpkit::cache::encoded<int>(texts, codec{}), plain("encoded")};
  CHECK(*cache.get("a", [] { return 7; }) == 7);
  CHECK(texts.get("a") == "7");
  texts.set("b", "garbage");
  CHECK(*cache.get("b", [] { return 8; }) == 8);
}

namespace {

/// What a tiered cache should do, one lookup after the other, in the plainest way.
struct oracle {
  struct l1_entry {
    std::optional<int> value;
    std::uint64_t fresh_until, refresh_at, ends, retry_at;
  };
  std::map<std::string, l1_entry> l1;
  std::map<std::string, std::pair<int, std::uint64_t>> l2;
  std::uint64_t ttl = 1000, shared_ttl = 3000, negative_ttl = 300, grace = 500, pause = 100, refresh = 800;

  void keep(const std::string& key, std::optional<int> v, std::uint64_t now) {
    if (v)
      l1[key] = {v, now + ttl, now + refresh, now + ttl + grace, 0};
    else
      l1[key] = {v, now + negative_ttl, UINT64_MAX, now + negative_ttl, 0};
  }

  /// \param database what loading gives: -1 fails, 0 there is none
  std::string get(const std::string& key, int database, bool down, std::uint64_t now) {
    const std::optional<int> loaded = database > 0 ? std::optional{database} : std::nullopt;
    auto e = l1.find(key);
    if (e != l1.end() && e->second.ends <= now) l1.erase(std::exchange(e, l1.end()));
    const auto text = [](std::string what, std::optional<int> v) { return what + (v ? " " + std::to_string(*v) : ""); };
    if (e != l1.end() && now < e->second.fresh_until) {
      if (now < e->second.refresh_at || now < e->second.retry_at)
        return text(e->second.value ? "hit" : "negative", e->second.value);
      if (database < 0) {
        e->second.retry_at = now + pause;
        return text("refresh", e->second.value);
      }
      if (!down) {
        if (loaded)
          l2[key] = {*loaded, now + shared_ttl};
        else
          l2.erase(key);
      }
      keep(key, loaded, now);
      return text("refresh", loaded);
    }
    if (e != l1.end() && now < e->second.retry_at) return text("stale", e->second.value);
    if (const auto s = l2.find(key); !down && s != l2.end() && now < s->second.second) {
      keep(key, s->second.first, now);
      return text("hit", s->second.first);
    }
    if (database < 0) {
      if (e == l1.end()) return "error";
      e->second.retry_at = now + pause;
      return text("stale", e->second.value);
    }
    if (loaded && !down) l2[key] = {*loaded, now + shared_ttl};
    keep(key, loaded, now);
    return text("miss", loaded);
  }
};

}  // namespace

TEST_CASE("thousands of random sequences end as a plain model of it says") {
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    std::mt19937 random{seed};
    shared_cache<int> l2;
    oracle model;
    tiered_cache cache{l2, tiered_cache_options{.name = "model",
                                                .ttl = std::chrono::nanoseconds{model.ttl},
                                                .shared_ttl = std::chrono::nanoseconds{model.shared_ttl},
                                                .negative_ttl = std::chrono::nanoseconds{model.negative_ttl},
                                                .jitter = 0,
                                                .refresh_ahead = 0.8,
                                                .grace = std::chrono::nanoseconds{model.grace},
                                                .retry_pause = std::chrono::nanoseconds{model.pause},
                                                .now = &manual_now}};
    for (int step = 0; step < 60; ++step) {
      const std::string key(1, static_cast<char>('a' + random() % 3));
      const int value = static_cast<int>(random() % 1000) + 1;
      INFO("seed ", seed, " step ", step, " key ", key);
      switch (random() % 10) {
        case 0:
          cache.set(key, value);
          model.keep(key, value, time_now);
          if (!l2.down) model.l2[key] = {value, time_now + model.shared_ttl};
          break;
        case 1:
          cache.erase(key);
          model.l1.erase(key);
          if (!l2.down) model.l2.erase(key);
          break;
        case 2: l2.down = random() % 3 == 0; break;
        case 3:
        case 4: pass(std::chrono::nanoseconds{seed % 2 == 0 ? random() % 700 : random() % 8 * 100}); break;
        default: {
          const int database = random() % 3 == 0 ? static_cast<int>(random() % 2) - 1 : value;
          std::string got;
          try {
            const auto found = cache.get(key, [&]() -> std::optional<int> {
              if (database < 0) fail();
              return database > 0 ? std::optional{database} : std::nullopt;
            });
            got = std::string{to_string(found.outcome())} + (found ? " " + std::to_string(*found) : "");
          } catch (const std::runtime_error&) {
            got = "error";
          }
          REQUIRE(got == model.get(key, database, l2.down, time_now));
        }
      }
    }
  }
}
