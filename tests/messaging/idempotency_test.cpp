// SPDX-License-Identifier: MIT
// links: SQLite::SQLite3
// emits: telemetry
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/messaging/idempotency.hpp>
#include <otlpkit/messaging/idempotency_sql.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;
using otlpkit::testing::manual_time;

namespace {

std::int64_t sql_now = 1'000'000;

// The page's example.
struct receipt {
  std::string id;
};
struct receipt_codec {
  std::string encode(const receipt& r) const { return r.id; }
  std::optional<receipt> decode(std::string_view text) const { return receipt{std::string{text}}; }
};
struct payment_gateway {
  int charged = 0;
  receipt charge() { return {"r-" + std::to_string(++charged)}; }
};

otlpkit::messaging::memory_idempotency_store keys;
auto charges = otlpkit::messaging::guarded_by<receipt>(keys, {.name = "charges", .ttl = 24h}, receipt_codec{});

std::string charge(payment_gateway& gateway, std::string_view key, std::string_view body) {
  const auto done = charges.run(key, body, [&] { return gateway.charge(); });
  return (done.replayed ? "200 " : "201 ") + done->id;
}

/// What a span of the guard says of its end.
std::string outcome(const otlpkit::testing::span_record& s) {
  return s.attributes.at("otlpkit.idempotency.outcome").as_string();
}

struct failing_store {
  std::string fails;
  memory_idempotency_store inner{};
  idempotency_entry begin(const idempotency_claim& c) { return may_fail("begin"), inner.begin(c); }
  bool finish(const idempotency_claim& c, idempotency_state s, std::string_view r, std::chrono::nanoseconds ttl) {
    return may_fail("finish"), inner.finish(c, s, r, ttl);
  }
  bool release(const idempotency_claim& c) { return may_fail("release"), inner.release(c); }
  void may_fail(std::string_view what) const {
    if (what == fails) throw std::runtime_error{"the store does not answer"};
  }
};

/// Both stores, by the same cases.
struct in_memory {
  manual_time time;
  memory_idempotency_store store{{}, time};
  void pass(std::chrono::milliseconds d) { time.advance(d); }
};
struct in_a_table {
  manual_time time;
  otlpkit::db::traced_db<otlpkit::sqlite::connection> db{otlpkit::sqlite::connection{":memory:"}};
  struct table {
    explicit table(auto& in) { in.execute(idempotency_table(sql_dialect::sqlite)); }
  } made{db};
  sql_idempotency_store<decltype(db)> store{db, {.now = []() noexcept { return sql_now; }}};
  void pass(std::chrono::milliseconds d) {
    time.advance(d);
    sql_now += d.count();
  }
};

}  // namespace

TEST_CASE("the page's example: a charge that comes twice is made once") {
  recorded out;
  payment_gateway gateway;
  CHECK(charge(gateway, "key-1", "{order: 1}") == "201 r-1");
  CHECK(charge(gateway, "key-1", "{order: 1}") == "200 r-1");
  CHECK_THROWS_AS(charge(gateway, "key-1", "{order: 2}"), key_reused_error);
  CHECK(gateway.charged == 1);
  const auto spans = out.spans();
  REQUIRE(spans.size() == 3);
  CHECK(spans[0].name == "idempotency.run charges");
  CHECK(outcome(spans[0]) == "executed");
  CHECK(outcome(spans[1]) == "replayed");
  REQUIRE(spans[1].links.size() == 1);
  CHECK(spans[1].links[0].span_id == spans[0].span_id);
  CHECK(outcome(spans[2]) == "mismatch");
  CHECK(spans[2].attributes.at("error.type").as_string() == "key_reused");
  const auto calls = out.metric("otlpkit.idempotency.calls");
  CHECK(calls.at("otlpkit.idempotency.name=charges,otlpkit.idempotency.outcome=executed") == 1);
  CHECK(calls.at("otlpkit.idempotency.name=charges,otlpkit.idempotency.outcome=replayed") == 1);
}

TEST_CASE_TEMPLATE("a key runs once, and again when its time is over", Fixture, in_memory, in_a_table) {
  Fixture f;
  idempotency_guard guard{f.store, {.name = "ttl", .ttl = 10s, .time = &f.time}};
  int runs = 0;
  const auto call = [&](std::string_view key) { return guard.run(key, [&] { return std::to_string(++runs); }); };
  CHECK(*call("a") == "1");
  CHECK(*call("b") == "2");
  f.pass(9'999ms);
  CHECK(*call("a") == "1");
  CHECK(call("a").replayed);
  f.pass(1ms);
  CHECK(*call("a") == "3");
  guard.run("void", [] {});
  CHECK(guard.run("void", [] { FAIL("ran again"); }).replayed);
}

TEST_CASE_TEMPLATE("a failure frees the key, or is remembered where that is wanted", Fixture, in_memory, in_a_table) {
  recorded out;
  Fixture f;
  struct refused : std::runtime_error {
    using runtime_error::runtime_error;
  };
  idempotency_guard guard{
      f.store, {.name = "fails", .remember_failure = otlpkit::resilience::handles<refused>(), .time = &f.time}};
  int runs = 0;
  const auto times_out = [&]() -> std::string {
    ++runs;
    throw std::runtime_error{"no answer"};
  };
  const auto refuses = [&]() -> std::string {
    ++runs;
    throw refused{"card\nrefused"};
  };
  CHECK_THROWS_WITH_AS(guard.run("a", times_out), "no answer", std::runtime_error);
  CHECK_THROWS_AS(guard.run("a", refuses), refused);
  CHECK(runs == 2);
  try {
    guard.run("a", refuses);
    FAIL("not thrown");
  } catch (const remembered_failure_error& e) {
    CHECK(std::string{e.what()} == "card\nrefused");
    CHECK(e.type().find("refused") != std::string::npos);
  }
  CHECK(runs == 2);
  std::map<std::string, int> outcomes;
  for (const auto& s : out.spans()) {
    if (s.name == "idempotency.run fails") ++outcomes[outcome(s)];
  }
  CHECK(outcomes == std::map<std::string, int>{{"failed", 2}, {"remembered", 1}});
}

TEST_CASE_TEMPLATE("a key in progress: waited for at most so long, and taken over when its lease is over", Fixture,
                   in_memory, in_a_table) {
  recorded out;
  Fixture f;
  idempotency_guard patient{f.store,
                            {.name = "busy", .lease = 1min, .max_wait = 2s, .record_key = true, .time = &f.time}};
  idempotency_guard refuses{f.store, {.name = "busy", .max_wait = 0s, .time = &f.time}};
  const idempotency_claim dead{"busy", "k", {}, "a process that died", {}, 1min};
  CHECK(f.store.begin(dead).state == idempotency_state::begun);
  CHECK_THROWS_AS(refuses.run("k", [] { FAIL("ran"); }), in_progress_error);
  CHECK(f.time.take_waits().empty());
  CHECK_THROWS_AS(patient.run("k", [] { FAIL("ran"); }), in_progress_error);
  const auto waits = f.time.take_waits();
  CHECK(std::accumulate(waits.begin(), waits.end(), std::chrono::nanoseconds{}) == 2s);
  CHECK(*std::max_element(waits.begin(), waits.end()) == 100ms);
  f.pass(1min);
  CHECK_FALSE(patient.run("k", [] {}).replayed);
  CHECK_FALSE(f.store.finish(dead, idempotency_state::succeeded, "late", 1h));
  CHECK_FALSE(f.store.release(dead));
  CHECK(patient.run("k", [] { FAIL("ran"); }).value.empty());
  for (const auto& s : out.spans()) {
    if (s.name == "idempotency.run busy" && s.attributes.contains("error.type"))
      CHECK(s.attributes.at("error.type").as_string() == "in_progress");
  }
}

TEST_CASE("a store that fails: nothing runs if it could not be asked, and what ran is not undone") {
  recorded out;
  failing_store store{"begin"};
  idempotency_guard guard{store, {.name = "broken"}};
  CHECK_THROWS_WITH(guard.run("a", [] { FAIL("ran"); }), "the store does not answer");
  store.fails = "finish";
  CHECK(*guard.run("a", [] { return std::string{"done"}; }) == "done");
  store.fails = "release";
  CHECK_THROWS_WITH(guard.run("b", []() -> std::string { throw std::runtime_error{"mine"}; }), "mine");
  const auto spans = out.spans();
  CHECK(outcome(spans[0]) == "error");
  CHECK(outcome(spans[1]) == "executed");
  CHECK_FALSE(spans[1].attributes.at("otlpkit.idempotency.kept").as_bool());
  CHECK(recorded::events(spans[1]) == "exception");
  CHECK(outcome(spans[2]) == "failed");
}

TEST_CASE("a result that cannot be kept: the caller has it, the key stays taken, and the span says so") {
  recorded out;
  struct fails {
    std::string encode(int) const { throw std::runtime_error{"no text"}; }
    std::optional<int> decode(std::string_view) const { return std::nullopt; }
  };
  memory_idempotency_store store;
  auto guard = guarded_by<int>(store, {.name = "encodes", .max_wait = 0s}, fails{});
  CHECK(*guard.run("a", [] { return 3; }) == 3);
  CHECK_THROWS_AS(guard.run("a", [] { return 4; }), in_progress_error);
  const auto spans = out.spans();
  CHECK(outcome(spans[0]) == "executed");
  CHECK_FALSE(spans[0].attributes.at("otlpkit.idempotency.kept").as_bool());
  CHECK(recorded::events(spans[0]) == "exception");
  CHECK_FALSE(spans[0].is_error());
}

TEST_CASE("a result that cannot be read, of an older make say, is an error and no second run") {
  struct strict {
    std::string encode(int v) const { return std::to_string(v); }
    std::optional<int> decode(std::string_view) const { return std::nullopt; }
  };
  memory_idempotency_store store;
  auto guard = guarded_by<int>(store, {.name = "codec"}, strict{});
  CHECK(*guard.run("a", [] { return 3; }) == 3);
  CHECK_THROWS_AS(guard.run("a",
                            []() -> int {
                              FAIL("ran");
                              return 0;
                            }),
                  idempotency_error);
}

TEST_CASE_TEMPLATE("hostile keys: empty and long ones are refused, any bytes are keys", Fixture, in_memory,
                   in_a_table) {
  recorded out;
  Fixture f;
  idempotency_guard guard{f.store, {.name = "hostile", .record_key = true}};
  CHECK_THROWS_AS(guard.run("", [] {}), bad_key_error);
  CHECK_THROWS_AS(guard.run(std::string(std::size_t{1} << 20, 'k'), [] {}), bad_key_error);
  const std::string a{"\0\xff'; DROP TABLE otlpkit_idempotency", 35}, b{"\0\xfe", 2}, body(std::size_t{1} << 20, '\0');
  CHECK_FALSE(guard.run(a, body, [] {}).replayed);
  CHECK_FALSE(guard.run(b, body, [&] { return a; }).replayed);
  CHECK(guard.run(a, body, [] { FAIL("ran"); }).replayed);
  CHECK(*guard.run(b, body, [] { return std::string{}; }) == a);
  CHECK_THROWS_AS(guard.run(a, body + "x", [] {}), key_reused_error);
  for (const auto& s : out.all.take()) {
    if (s.name == "idempotency.run hostile")
      CHECK(s.attributes.at("otlpkit.idempotency.key").as_string().size() <= 256 * 3);
  }
}

TEST_CASE("options that make no sense are refused") {
  memory_idempotency_store store;
  CHECK_THROWS_AS((idempotency_guard{store, {.ttl = 0s}}), otlpkit::config_error);
  CHECK_THROWS_AS((idempotency_guard{store, {.lease = 0s}}), otlpkit::config_error);
  CHECK_THROWS_AS((idempotency_guard{store, {.max_wait = -1s}}), otlpkit::config_error);
  CHECK_THROWS_AS((idempotency_guard{store, {.poll_interval = 0s}}), otlpkit::config_error);
  CHECK_THROWS_AS(memory_idempotency_store{{.max_entries = 0}}, otlpkit::config_error);
  in_a_table t;
  CHECK_THROWS_AS((sql_idempotency_store{t.db, {.table = "x; DROP"}}), otlpkit::config_error);
}

TEST_CASE("the store in memory is bounded in entries and bytes, and never forgets what is in progress") {
  manual_time time;
  memory_idempotency_store store{{.max_entries = 3, .max_bytes = 100}, time};
  idempotency_guard guard{store, {.name = "bound", .time = &time}};
  const auto ran = [&](std::string_view key, std::size_t size = 1) {
    return !guard.run(key, [size] { return std::string(size, 'r'); }).replayed;
  };
  const idempotency_claim one{"bound", "running", {}, "one", {}, 1min};
  CHECK(store.begin(one).state == idempotency_state::begun);
  CHECK(ran("a"));
  CHECK(ran("b"));
  CHECK(ran("c"));  // there is no room: the oldest result goes
  CHECK(store.size() == 3);
  CHECK(store.evictions() == 1);
  CHECK_FALSE(ran("c"));
  CHECK(ran("a"));
  CHECK(store.begin(one).state == idempotency_state::in_progress);
  CHECK(ran("large", 101));
  CHECK(ran("large", 99));
  CHECK_FALSE(ran("large", 99));
  CHECK(ran("other", 2));  // 101 bytes
  CHECK(ran("large", 1));
  std::vector<std::string> keys_taken;
  memory_idempotency_store full{{.max_entries = 2}, time};
  CHECK(full.begin({"f", "a", {}, "1", {}, 1min}).state == idempotency_state::begun);
  CHECK(full.begin({"f", "b", {}, "2", {}, 1min}).state == idempotency_state::begun);
  CHECK_THROWS_AS(static_cast<void>(full.begin({"f", "c", {}, "3", {}, 1min})), otlpkit::bulkhead_full_error);
  time.advance(1min);
  CHECK(full.begin({"f", "c", {}, "3", {}, 1min}).state == idempotency_state::begun);
}

TEST_CASE("expired rows are taken away") {
  in_a_table t;
  idempotency_guard guard{t.store, {.name = "sweep", .ttl = 10s, .time = &t.time}};
  for (int i = 0; i < 5; ++i) guard.run("k" + std::to_string(i), [] {});
  CHECK(t.store.erase_expired() == 0);
  t.pass(10s);
  guard.run("fresh", [] {});
  CHECK(t.store.erase_expired() == 5);
}

TEST_CASE_TEMPLATE("random sequences do what a simple oracle says", Fixture, in_memory, in_a_table) {
  struct known {
    std::string owner, result;
    std::chrono::milliseconds ends;
    idempotency_state state;
  };
  std::mt19937 random{11};
  const auto below = [&random](unsigned n) { return static_cast<unsigned>(random()) % n; };
  for (int sequence = 0; sequence < 60; ++sequence) {
    Fixture f;
    std::map<std::string, known> oracle;
    const auto read = [&f] {
      return std::chrono::duration_cast<std::chrono::milliseconds>(f.time.now().time_since_epoch());
    };
    auto now = read();
    for (int step = 0; step < 60; ++step) {
      const std::string key = std::string{"k"} + std::to_string(below(3)), owner = "o" + std::to_string(below(3));
      const idempotency_claim claim{"n", key, {}, owner, {}, 100ms};
      const auto found = oracle.find(key);
      const bool there = found != oracle.end() && found->second.ends > now;
      const bool ours = found != oracle.end() && found->second.owner == owner &&
                        found->second.state == idempotency_state::in_progress;
      switch (below(4)) {
        case 0: {
          const idempotency_entry e = f.store.begin(claim);
          REQUIRE(e.state == (there ? found->second.state : idempotency_state::begun));
          if (there) {
            REQUIRE(e.result == found->second.result);
          } else {
            oracle[key] = {owner, "", now + 100ms, idempotency_state::in_progress};
          }
          break;
        }
        case 1: {
          const auto state = below(2) == 0 ? idempotency_state::succeeded : idempotency_state::failed;
          const std::string result = std::to_string(step);
          if (!there && ours) break;  // past its lease: may be gone, or not
          REQUIRE(f.store.finish(claim, state, result, 300ms) == ours);
          if (ours) oracle[key] = {owner, result, now + 300ms, state};
          break;
        }
        case 2:
          if (!there && ours) break;
          REQUIRE(f.store.release(claim) == ours);
          if (ours) oracle.erase(key);
          break;
        default: f.pass(std::chrono::milliseconds{below(80)}); break;
      }
      now = read();
    }
  }
}

TEST_CASE("of many threads with the same keys one runs for each, and all get its result") {
  memory_idempotency_store store;
  idempotency_guard guard{store, {.name = "threads"}};
  std::atomic<int> runs{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string key = "k" + std::to_string(i);
        const auto got = guard.run(key, "same", [&] {
          ++runs;
          if (t % 2 == 0) std::this_thread::yield();
          return "result of " + key;
        });
        if (*got != "result of " + key) ++wrong;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(runs == 200);
  CHECK(wrong == 0);
}
