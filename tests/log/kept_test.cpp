// SPDX-License-Identifier: MIT
// Which records are kept: levels at compile time and run time, for all or for a scope, and throttles.
#include <otlpkit/otlpkit.hpp>

#include <log/one_of_each.hpp>
#include <support/log_recording.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace shop {
OTLPKIT_SCOPE("shop.cart", "2.1");
void say() { OTLPKIT_INFO("said"); }
}  // namespace shop

namespace shop::net {
OTLPKIT_SCOPE("shop.net");
void say() { OTLPKIT_DEBUG("said"); }
}  // namespace shop::net

#undef OTLPKIT_LOG_MIN_LEVEL
#define OTLPKIT_LOG_MIN_LEVEL warn
namespace {
int compiled_from_warn(int& evaluated) {
  OTLPKIT_INFO("not compiled", {"n", ++evaluated});
  OTLPKIT_INFO_ONCE("not compiled", {"n", ++evaluated});
  OTLPKIT_WARN("compiled", {"n", ++evaluated});
  return evaluated;
}
}  // namespace
#undef OTLPKIT_LOG_MIN_LEVEL
#define OTLPKIT_LOG_MIN_LEVEL off
namespace {
void compiled_out(int& evaluated) { OTLPKIT_FATAL("not compiled", {"n", ++evaluated}); }
}  // namespace
#undef OTLPKIT_LOG_MIN_LEVEL
#define OTLPKIT_LOG_MIN_LEVEL trace

using namespace otlpkit;
using support::log_recording;

namespace {

std::vector<std::uint32_t> severities(log_recording& logs) {
  std::vector<std::uint32_t> out;
  for (const auto& r : logs.take()) out.push_back(r.severity);
  return out;
}

}  // namespace

TEST_CASE("arguments are evaluated only if the record is kept") {
  int evaluated = 0;
  const auto message = [&] {
    ++evaluated;
    return "m";
  };
  OTLPKIT_INFO(message(), {"n", ++evaluated});
  OTLPKIT_LOG_EVENT(severity::info, message(), message(), {"n", ++evaluated});
  CHECK(evaluated == 0);  // no telemetry
  log_recording logs;
  set_log_level(severity::warn);
  OTLPKIT_INFO(message(), {"n", ++evaluated});
  OTLPKIT_INFO_ONCE(message(), {"n", ++evaluated});
  OTLPKIT_INFO_EVERY(0, message(), {"n", ++evaluated});
  CHECK(evaluated == 0);
  OTLPKIT_WARN(message(), {"n", ++evaluated});
  CHECK(evaluated == 2);
  CHECK(logs.take().size() == 1);
}

TEST_CASE("what is below the compiled level is not there") {
  log_recording logs;
  int evaluated = 0;
  CHECK(compiled_from_warn(evaluated) == 1);
  CHECK(logs.take_one().body == "compiled");
  compiled_out(evaluated);
  CHECK(evaluated == 1);
  CHECK(logs.take().empty());
}

TEST_CASE("the level can be changed at run time") {
  log_recording logs;
  set_log_level(severity::warn);
  one_of_each();
  CHECK(severities(logs) == std::vector<std::uint32_t>{13, 17, 21});
  CHECK(!log_enabled(severity::info));
  CHECK(log_enabled(severity::warn));
  set_log_level(severity::trace);
  one_of_each();
  CHECK(severities(logs).size() == 6);
  set_log_level(severity::off);
  one_of_each();
  CHECK(severities(logs).empty());
  log(severity::unspecified, "passes every level");
  CHECK(logs.take_one().severity_text == "");
}

TEST_CASE("a scope may have a level of its own, by its name or the beginning of it") {
  log_recording logs;
  const auto count = [&] {
    shop::say();
    shop::net::say();
    OTLPKIT_INFO("other");
    std::string scopes;
    for (const auto& r : logs.take()) scopes += r.scope + " ";
    return scopes;
  };
  CHECK(count() == "shop.cart shop.net otlpkit ");
  set_log_level("shop.cart", severity::warn);
  CHECK(count() == "shop.net otlpkit ");
  set_log_level("shop.*", severity::off);
  CHECK(count() == "otlpkit ");
  set_log_level("shop.cart", severity::info);  // the full name wins over the beginning
  CHECK(count() == "shop.cart otlpkit ");
  set_log_level("shop.n*", severity::trace);  // the longer beginning wins
  CHECK(count() == "shop.cart shop.net otlpkit ");
  set_log_level(severity::error);
  CHECK(count() == "shop.cart shop.net ");
  CHECK(!log_enabled(severity::info));
  log(severity::unspecified, "passes every level");
  CHECK(logs.take().size() == 1);
}

TEST_CASE("levels hold for threads that log while they change") {
  log_recording logs;
  log_recording::queue(std::size_t{64} << 20, 1'000'000);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!stop.load()) shop::say();
    });
  }
  for (int i = 0; i < 300; ++i) {
    set_log_level("shop.cart", i % 2 == 0 ? severity::off : severity::info);
    set_log_level(i % 3 == 0 ? severity::warn : severity::trace);
  }
  set_log_level("shop.cart", severity::off);
  stop = true;
  for (std::thread& t : threads) t.join();
  static_cast<void>(logs.take());
  shop::say();
  CHECK(logs.take().empty());
}

TEST_CASE("a message may be recorded once for each place") {
  log_recording logs;
  const auto say = [] { OTLPKIT_INFO_ONCE("once", {"k", 1}); };
  set_log_level(severity::warn);
  say();  // not kept, so it was not recorded yet
  set_log_level(severity::info);
  for (int i = 0; i < 5; ++i) say();
  OTLPKIT_INFO_ONCE("elsewhere");
  CHECK(logs.take().size() == 2);
}

TEST_CASE("a message may be recorded once in an interval, with how many were suppressed") {
  using namespace std::chrono_literals;
  log_recording logs;
  for (int i = 0; i < 10; ++i) OTLPKIT_WARN_EVERY(1h, "full", {"i", i});
  auto records = logs.take();
  REQUIRE(records.size() == 1);
  CHECK(records[0].attributes["i"] == 0);
  CHECK(records[0].attributes.size() == 1);
  for (int i = 0; i < 3; ++i) OTLPKIT_LOG_EVERY(severity::warn, 0, "each");
  CHECK(logs.take().size() == 3);
}

TEST_CASE("a throttle admits one per interval and counts the others, from all threads") {
  detail::log_throttle t;
  std::uint64_t suppressed = 99;
  CHECK(t.admit(1'000, 100, suppressed));
  CHECK(suppressed == 0);
  CHECK(!t.admit(1'000, 100, suppressed));
  CHECK(!t.admit(1'099, 100, suppressed));
  CHECK(t.admit(1'100, 100, suppressed));
  CHECK(suppressed == 2);
  CHECK(t.admit(5'000, 100, suppressed));
  CHECK(suppressed == 0);

  std::atomic<int> admitted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      std::uint64_t ignored = 0;
      for (int n = 0; n < 1'000; ++n) admitted += t.admit(10'000, 1'000, ignored) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(admitted == 1);
  CHECK(t.admit(11'000, 1'000, suppressed));
  CHECK(suppressed == 7'999);

  CHECK(detail::interval_ns(std::chrono::milliseconds{5}) == 5'000'000);
  CHECK(detail::interval_ns(std::chrono::duration<double>{0.5}) == 500'000'000);
  CHECK(detail::interval_ns(2) == 2'000'000'000);
  CHECK(detail::interval_ns(-1) == 0);
  CHECK(detail::interval_ns(std::chrono::hours::max()) > 0);
}
