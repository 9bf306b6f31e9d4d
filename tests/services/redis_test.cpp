// SPDX-License-Identifier: MIT
// links: PkgConfig::hiredis
// emits: telemetry
#include <otlpkit/cache/tiered_cache.hpp>
#include <otlpkit/lock/distributed_lock.hpp>

#include <doctest/doctest.h>

#include "services/redis_fixture.hpp"
#include "support/count_allocations.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

int open_files() {
  int count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"}) ++count;
  return count;
}

// The example of docs/redis.md.
std::string greet(const std::string& url) {
  connection redis{{.url = url, .command_timeout = 500ms}};
  otlpkit::redis::cache_store texts{redis, "greetings:"};
  otlpkit::cache::tiered_cache greetings{texts, {.name = "greetings", .ttl = 10s, .shared_ttl = 1h}};
  const auto found = greetings.get("en", [] { return std::string{"hello"}; });

  otlpkit::redis::lock_store locks{redis};
  otlpkit::lock::distributed_lock once{locks, {.name = "greeting", .ttl = 5s}};
  return once.work("en", [&] { return *found + ", " + std::string{redis.command("PING").text()}; });
}

/// How long it is until the next attempt, as a command says it that fails without one; nothing if it made one.
std::optional<std::chrono::milliseconds> left_to_wait(connection& c) {
  try {
    static_cast<void>(c.command("PING"));
  } catch (const error& e) {
    const std::string why = e.what();
    const std::string_view says = "(tried again in ";
    if (const auto at = why.find(says); at != why.npos)
      return std::chrono::milliseconds{std::stol(why.substr(at + says.size()))};
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("the page's example: a cache and a lock in Redis") {
  CHECK(greet(server().url()) == "hello, PONG");
  connection c{here()};
  CHECK(c.command("GET", "greetings:en").text() == "hello");
}

TEST_CASE("commands are client spans named by the command, without arguments") {
  recorded out;
  connection c{here()};
  const std::string secret = "s3cret";
  CHECK(c.command("set", "user:42", secret, "PX", 60'000).text() == "OK");
  CHECK(c.command("GET", "user:42").text() == secret);
  CHECK(c.command("GET", "nobody").nil());
  CHECK_THROWS_AS(static_cast<void>(c.command("LPUSH", "user:42", secret)), error);
  CHECK_THROWS_AS(static_cast<void>(c.command("no such " + secret, secret)), error);
  std::vector<std::vector<otlpkit::redis::argument>> several{{"SET", "a", 1}, {"SET", "b", secret}};
  CHECK(c.pipeline(several).size() == 2);
  several.push_back({"LPUSH", "a", secret});
  CHECK(c.pipeline(several).at(2).is_error());
  const auto spans = out.spans();
  REQUIRE(spans.size() == 7);
  CHECK(spans[0].name == "SET");
  CHECK(spans[0].kind == 3);
  CHECK(spans[0].attributes["db.system.name"] == "redis");
  CHECK(spans[0].attributes["db.operation.name"] == "SET");
  CHECK(spans[0].attributes["db.namespace"] == "0");
  CHECK(spans[0].attributes["server.address"] == "127.0.0.1");
  CHECK(spans[0].attributes["server.port"] == server().port());
  CHECK(spans[3].attributes["db.response.status_code"] == "WRONGTYPE");
  CHECK(spans[3].attributes["error.type"] == "WRONGTYPE");
  CHECK(spans[3].is_error());
  CHECK(spans[4].name == "_OTHER");
  CHECK(spans[5].name == "PIPELINE SET");
  CHECK(spans[5].attributes["db.operation.batch.size"] == 2);
  CHECK(spans[6].name == "PIPELINE");
  CHECK(spans[6].is_error());
  for (const auto& s : spans) {
    for (const auto& [key, value] : s.attributes) {
      CHECK(value.as_string().find(secret) == std::string::npos);
      CHECK(value.as_string().find("user:42") == std::string::npos);
    }
    for (const auto& e : s.events) {
      for (const auto& [key, value] : e.attributes) CHECK(value.as_string().find(secret) == std::string::npos);
    }
    CHECK(s.status_message.find(secret) == std::string::npos);
  }
  CHECK(out.metric("db.client.operation.duration")
            ["db.namespace=0,db.operation.name=GET,db.system.name=redis,server.address=127.0.0.1,server.port=" +
             std::to_string(server().port())] == 2);
}

TEST_CASE("keys are on spans where that is asked for, values never") {
  recorded out;
  otlpkit::redis::options o = here();
  o.record_keys = true;
  connection c{o};
  static_cast<void>(c.command("SET", "user:42", "s3cret"));
  CHECK(recorded::only(out.spans(), "SET").attributes["db.query.text"] == "SET user:42 ?");
  static_cast<void>(c.command("GET", std::string(1 << 20, 'k')));
  CHECK(recorded::only(out.spans(), "GET").attributes["db.query.text"] == "GET " + std::string(256, 'k') + "...");
  CHECK_THROWS_AS(c.command("auth", "s3cret"), error);
  CHECK_FALSE(recorded::only(out.spans(), "AUTH").attributes.contains("db.query.text"));
}

TEST_CASE("keys of a mebibyte and binary values come back as they went in") {
  connection c{here()};
  otlpkit::redis::cache_store texts{c, "big:"};
  std::string key(1 << 20, 'k'), value(3 << 20, '\0');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7);
  texts.set(key, value, 60s);
  CHECK(texts.get(key) == value);
  CHECK(texts.erase(key));
  CHECK_FALSE(texts.erase(key));
  CHECK_FALSE(texts.get(key).has_value());
  texts.set("", "", 1ns);  // a millisecond at least
  texts.set("forever", "x");
  CHECK(c.command("PTTL", "big:forever").integer() == -1);
}

#if !OTLPKIT_TEST_SANITIZED
TEST_CASE("wherever memory runs out while a connection is made, it is made anew, and logged in to its database") {
  otlpkit::redis::options three = here();
  three.url = "redis://127.0.0.1:" + std::to_string(server().port()) + "/3";
  connection first{three};
  static_cast<void>(first.command("SET", "only in 3", "x"));
  int failures = 0;
  for (int n = 0; n < 30; ++n) {
    connection c{three};
    support::allocations_before_failure = n;
    try {
      static_cast<void>(c.command("GET", "only in 3"));
    } catch (const std::bad_alloc&) {
      ++failures;
    }
    support::allocations_before_failure = -1;
    const auto again = c.command("GET", "only in 3");
    REQUIRE_FALSE(again.nil());
    CHECK(again.text() == "x");
  }
  CHECK(failures > 0);
}
#endif

TEST_CASE("a server that dies and comes back: clear errors at once, then all goes on") {
  recorded out;
  connection c{here()};
  otlpkit::redis::cache_store texts{c};
  otlpkit::cache::tiered_cache cache{texts, {.name = "dying"}};
  static_cast<void>(c.command("SET", "kept", "1"));
  const int files = open_files();
  server().kill();
  const auto begin = steady::now();
  CHECK(failure_of([&] { static_cast<void>(c.command("GET", "kept")); }) == failure::unreachable);
  for (int i = 0; i < 100; ++i)
    CHECK(failure_of([&] { static_cast<void>(c.command("GET", "kept")); }) == failure::unreachable);
  CHECK(steady::now() - begin < 5s);
  CHECK_FALSE(c.connected());
  CHECK(*cache.get("x", [] { return std::string{"y"}; }) == "y");  // without its shared level
  server().start();
  CHECK(recovers([&] { static_cast<void>(c.command("GET", "kept")); }));
  CHECK(c.command("GET", "kept").text() == "1");
  server().restart();  // an idle connection that ended is made again before anything is sent
  CHECK(c.command("GET", "kept").text() == "1");
  CHECK(open_files() == files);
  bool refused = false;
  for (const auto& s : out.spans()) refused = refused || s.attributes.contains("error.type");
  CHECK(refused);
}

TEST_CASE("until the back-off is over nobody asks whether the server is back") {
  otlpkit::redis::options o = here();
  o.first_back_off = o.max_back_off = 1h;
  connection c{o};
  server().kill();
  CHECK_FALSE(left_to_wait(c).has_value());
  server().start();
  const auto left = left_to_wait(c);
  REQUIRE(left.has_value());
  CHECK(*left > 20min);
  CHECK(*left <= 1h);
}

TEST_CASE("the back-off begins anew after a connection") {
  otlpkit::redis::options o = here();
  o.max_back_off = 1h;
  connection c{o};
  server().kill();
  for (int failed = 0; failed < 4; std::this_thread::sleep_for(1ms)) failed += left_to_wait(c).has_value() ? 0 : 1;
  server().start();
  CHECK(recovers([&] { static_cast<void>(c.command("PING")); }));
  server().kill();
  auto left = left_to_wait(c);
  auto longest = o.first_back_off / 2;
  for (; !left && longest < 1h; left = left_to_wait(c)) longest *= 2;  // once, if this thread is quick
  REQUIRE(left.has_value());
  CHECK(*left <= longest);  // counted on from four failures, it would be eight times that at least
  server().start();
}

TEST_CASE("a command that is under way when the server dies fails as closed, and is not sent again") {
  connection c{here()};
  connection watching{here()};
  std::optional<failure> ended;
  std::thread waiting{[&] {
    const std::vector<otlpkit::redis::argument> words{"BLPOP", "nothing comes", 0};
    ended = failure_of([&] { static_cast<void>(c.command(words, 60s)); });
  }};
  while (watching.command("CLIENT", "LIST").text().find("cmd=blpop") == std::string_view::npos)
    std::this_thread::sleep_for(1ms);
  server().kill();
  waiting.join();
  CHECK(ended == failure::closed);
  server().start();
  CHECK(recovers([&] { static_cast<void>(c.command("PING")); }));
}

TEST_CASE("a server that hangs: every call ends within its time, and answers that come late disturb nobody") {
  recorded out;
  connection c{here(100ms)};
  static_cast<void>(c.command("SET", "a", "1"));
  const int files = open_files();
  {
    const support::suspended hangs{server()};
    const auto begin = steady::now();
    CHECK(failure_of([&] { static_cast<void>(c.command("GET", "a")); }) == failure::timeout);
    CHECK(steady::now() - begin >= 100ms);
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        const auto started = steady::now();
        if (failure_of([&] { static_cast<void>(c.command("GET", "a")); })) ++failed;
        CHECK(steady::now() - started < 5s);
      });
    }
    for (std::thread& t : threads) t.join();
    CHECK(failed == 4);
  }
  CHECK(recovers([&] { static_cast<void>(c.command("GET", "a")); }));
  for (int i = 0; i < 100; ++i) {
    const std::string text = std::to_string(i);
    CHECK(c.command("ECHO", text).text() == text);
  }
  CHECK(open_files() == files);
}

TEST_CASE("passwords and databases of the URL are used, and a wrong one is a clear error without it") {
  connection admin{here()};
  static_cast<void>(admin.command("CONFIG", "SET", "requirepass", "p@ss word"));
  const std::string at = "@127.0.0.1:" + std::to_string(server().port());
  connection good{{.url = "redis://:p%40ss%20word" + at + "/3"}};
  static_cast<void>(good.command("SET", "only in 3", "x"));
  connection other{{.url = "redis://default:p%40ss%20word" + at}};
  CHECK(other.command("GET", "only in 3").nil());
  connection wrong{{.url = "redis://:guess" + at}};
  try {
    static_cast<void>(wrong.command("PING"));
    CHECK(false);
  } catch (const error& e) {
    CHECK(e.kind() == failure::unreachable);
    CHECK(e.status_code() == "WRONGPASS");
    CHECK(std::string_view{e.what()}.find("guess") == std::string_view::npos);
  }
  static_cast<void>(good.command("CONFIG", "SET", "requirepass", ""));
}

TEST_CASE("URLs that are none are refused without their password") {
  using otlpkit::redis::address;
  const auto a = address::parse("redis://user:p%40ss@[::1]:7000/12");
  CHECK(a.host == "::1");
  CHECK(a.port == 7000);
  CHECK(a.user == "user");
  CHECK(a.password == "p@ss");
  CHECK(a.database == 12);
  CHECK(address::parse("redis://cache.local").port == 6379);
  for (const char* bad :
       {"", "http://x", "redis://", "redis://h:0", "redis://h:99999", "redis://h:6379/x", "redis://h/-1",
        "redis://secret@h", "redis://:secret%4@h", "redis://:secret@h:x", "redis://[::1", "redis://a b"}) {
    INFO(std::string{bad});
    try {
      static_cast<void>(address::parse(bad));
      CHECK(false);
    } catch (const otlpkit::config_error& e) {
      CHECK(std::string_view{e.what()}.find("secret") == std::string_view::npos);
    }
  }
  CHECK_THROWS_AS(connection({.command_timeout = 0ms}), otlpkit::config_error);
}
