// SPDX-License-Identifier: MIT
// links: spdlog::spdlog
// emits: telemetry
#include <otlpkit/adapters/spdlog.hpp>
#include <otlpkit/otlpkit.hpp>

#include <support/emitted.hpp>
#include <support/log_recording.hpp>

#include <doctest/doctest.h>

#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace otlpkit;
using support::log_recording;

namespace {

spdlog::logger logger(const std::string& name, const std::shared_ptr<spdlog_sink>& sink) {
  spdlog::logger made{name, sink};
  made.set_level(spdlog::level::trace);
  return made;
}

}  // namespace

TEST_CASE("what spdlog logs arrives with message, severity, scope and time") {
  log_recording logs;
  spdlog::logger shop = logger("shop.cart", std::make_shared<spdlog_sink>());
  const auto before = std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds{1};
  shop.info("{} items", 3);
  const auto after = std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds{1};
  const auto record = logs.take_one();
  CHECK(record.body == "3 items");
  CHECK(record.severity == 9);
  CHECK(record.severity_text == "INFO");
  CHECK(record.scope == "shop.cart");
  CHECK(record.time >= static_cast<std::uint64_t>(before));
  CHECK(record.time <= static_cast<std::uint64_t>(after));
  CHECK(record.attributes["thread.id"].as_int() > 0);
  CHECK(record.attributes.size() == 1);
}

TEST_CASE("levels of spdlog become severities") {
  log_recording logs;
  spdlog::logger shop = logger("", std::make_shared<spdlog_sink>());
  shop.trace("m");
  shop.debug("m");
  shop.warn("m");
  shop.error("m");
  shop.critical("m");
  std::vector<std::string> names;
  for (const auto& r : logs.take()) {
    names.push_back(r.severity_text);
    CHECK(r.scope == "spdlog");
  }
  CHECK(names == std::vector<std::string>{"TRACE", "DEBUG", "WARN", "ERROR", "FATAL"});
}

TEST_CASE("the place in the code arrives where spdlog knows it") {
  log_recording logs;
  spdlog::logger shop = logger("shop", std::make_shared<spdlog_sink>());
  SPDLOG_LOGGER_INFO(&shop, "here");
  const int line = __LINE__ - 1;
  const auto record = logs.take_one();
  CHECK(record.attributes["code.line.number"] == line);
  CHECK(record.attributes["code.file.path"].as_string().find("spdlog_test.cpp") != std::string::npos);
  CHECK(record.attributes.contains("code.function.name"));
}

TEST_CASE("a record of spdlog belongs to the current span") {
  log_recording logs;
  spdlog::logger shop = logger("shop", std::make_shared<spdlog_sink>());
  const span_guard s{"op"};
  shop.warn("inside");
  CHECK(logs.take_one().span_id.size() == 16);
}

TEST_CASE("levels of otlpkit hold for loggers by their names") {
  log_recording logs;
  const auto sink = std::make_shared<spdlog_sink>();
  spdlog::logger shop = logger("shop", sink), net = logger("net", sink);
  set_log_level(severity::error);
  set_log_level("net", severity::debug);
  shop.info("m");
  net.info("m");
  CHECK(logs.take_one().scope == "net");
}

TEST_CASE("many loggers and threads share one sink") {
  log_recording logs;
  log_recording::queue(std::size_t{64} << 20, 1'000'000);
  const auto sink = std::make_shared<spdlog_sink>();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) logger("l" + std::to_string((t * 100 + i) % 300), sink).info("m {}", i);
    });
  }
  for (std::thread& t : threads) t.join();
  const auto records = logs.take();
  CHECK(records.size() == 800);
  std::size_t shared = 0;
  for (const auto& r : records) shared += r.scope == "spdlog" ? 1 : 0;
  CHECK(shared > 0);  // 300 names, of which 256 have a scope of their own
  CHECK(shared < 800);
}

TEST_CASE("what log records hold beside the caller's fields stands in docs/telemetry.md") {
  using namespace std::chrono_literals;
  log_recording logs{detail::mode_log_events};
  std::vector<testing::log_record> records;
  const auto keep = [&] {
    for (auto& r : logs.take()) records.push_back(std::move(r));
  };
  {
    const span_guard caller{"caller"};
    spdlog::logger shop = logger("shop", std::make_shared<spdlog_sink>());
    SPDLOG_LOGGER_INFO(&shop, "here");
    const std::runtime_error declined{"card declined"};
    OTLPKIT_LOG_EXCEPTION(severity::error, declined, "payment failed", {"caller.user", "u-1"});
    OTLPKIT_LOG_EVENT(severity::info, "caller.event", nullptr);
    for (bool suppressed = false; !suppressed;) {
      OTLPKIT_WARN_EVERY(1ms, "slow");
      keep();
      suppressed = records.back().attributes.contains("otlpkit.log.suppressed");
    }
  }
  CHECK(records.back().attributes["otlpkit.log.suppressed"].as_int() > 0);
  support::emitted(records);
  std::vector<testing::span_record> spans;
  detail::global_runtime.spans.drain([&](std::uint16_t, std::string_view record) {
    spans.push_back(testing::span_record::from(span_view{record}, {}));
    return true;
  });
  REQUIRE(spans.size() == 1);
  // The fields of a record are the event's too: that of the last one alone has none but otlpkit's.
  REQUIRE(spans[0].events.size() > 3);
  std::erase_if(spans[0].events, [](const testing::event_record& e) { return e.attributes.size() != 2; });
  CHECK(!spans[0].events.empty());
  support::emitted(spans);
}
