// SPDX-License-Identifier: MIT
#include <otlpkit/otlpkit.hpp>

#include <log/one_of_each.hpp>
#include <support/log_recording.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace otlpkit;
using support::log_recording;

namespace {

template <class Id>
std::string hex(const Id& id) {
  const hex_id<Id> h = to_hex(id);
  return {h.text, sizeof h.text};
}

struct out_of_stock : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace

TEST_CASE("each macro records its severity, by number and by name") {
  log_recording logs;
  one_of_each();
  const auto records = logs.take();
  REQUIRE(records.size() == 6);
  const std::vector<std::pair<std::uint32_t, std::string>> expected{{1, "TRACE"}, {5, "DEBUG"},  {9, "INFO"},
                                                                    {13, "WARN"}, {17, "ERROR"}, {21, "FATAL"}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(records[i].severity == expected[i].first);
    CHECK(records[i].severity_text == expected[i].second);
  }
  log(severity::warn3, "m");
  CHECK(logs.take_one().severity_text == "WARN3");
  log(severity::off, "no record's severity");
  CHECK(logs.take().empty());
}

TEST_CASE("a message is text of any kind, any other value, or none") {
  log_recording logs;
  const std::string text = "from a string";
  char buffer[32] = "from a buffer";
  const char* nothing = nullptr;
  OTLPKIT_INFO("literal");
  CHECK(logs.take_one().body == "literal");
  OTLPKIT_INFO(text);
  CHECK(logs.take_one().body == "from a string");
  OTLPKIT_INFO(buffer);
  CHECK(logs.take_one().body == "from a buffer");
  OTLPKIT_INFO(text + "!");
  CHECK(logs.take_one().body == "from a string!");
  OTLPKIT_INFO(42);
  CHECK(logs.take_one().body == 42);
  OTLPKIT_INFO((std::map<std::string, int>{{"a", 1}}));
  CHECK(logs.take_one().body.entries().at(0).first == "a");
  OTLPKIT_INFO("");
  CHECK(logs.take_one().body == "");
  OTLPKIT_INFO(nothing);
  CHECK(logs.take_one().body.kind() == testing::value::type::empty);
  OTLPKIT_INFO("gr\xC3\xBC\xC3\x9F");
  CHECK(logs.take_one().body == "gr\xC3\xBC\xC3\x9F");
  OTLPKIT_INFO("cut \xC3");  // not UTF-8: bytes, as everywhere in OTLP
  CHECK(logs.take_one().body.kind() == testing::value::type::bytes);
}

TEST_CASE("a byte that is not UTF-8 is found wherever it stands") {
  log_recording logs;
  for (std::size_t size = 1; size <= 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      text[at] = '\xFF';
      OTLPKIT_INFO(text, {"k", text});
      const auto record = logs.take_one();
      const bool found = record.body.kind() == testing::value::type::bytes &&
                         record.attributes["k"].kind() == testing::value::type::bytes;
      CHECK_MESSAGE(found, size, " bytes, at ", at);
    }
  }
}

TEST_CASE("a record belongs to the span it was made in") {
  log_recording logs;
  OTLPKIT_INFO("outside");
  auto record = logs.take_one();
  CHECK(record.trace_id == "");
  CHECK(record.span_id == "");
  CHECK(record.flags == 0);
  std::string trace, inner;
  {
    OTLPKIT_SPAN("outer");
    {
      const span_guard s{"inner"};
      trace = hex(s.context().trace);
      inner = hex(s.context().span);
      OTLPKIT_INFO("inside", {"k", 1});
      record = logs.take_one();
      CHECK(record.trace_id == trace);
      CHECK(record.span_id == inner);
      CHECK(record.flags == (flag_sampled | flag_random));
      OTLPKIT_INFO("inside, and not plain", {"k", std::vector<int>{1}});
      CHECK(logs.take_one().span_id == inner);
      log(severity::info, "told otherwise", {}, {.context = no_parent});
      CHECK(logs.take_one().span_id == "");
    }
    log(severity::info, "told the span", {}, {.context = span_context{{{1, 2}}, {3}, 0, true, {}}});
    CHECK(logs.take_one().span_id == hex(span_id{3}));
    OTLPKIT_INFO("outer again");
    record = logs.take_one();
    CHECK(record.trace_id == trace);
    CHECK(record.span_id != inner);
  }
}

TEST_CASE("a record belongs to an unsampled span too, and says that it is not sampled") {
  log_recording logs;
  const span_context remote{{{1, 2}}, {3}, 0, true, {}};
  const span_guard s{"unsampled", {}, {.parent = remote}};
  OTLPKIT_INFO("inside");
  const auto record = logs.take_one();
  CHECK(record.trace_id == hex(remote.trace));
  CHECK(record.span_id == hex(s.context().span));
  CHECK(record.flags == 0);
}

TEST_CASE("records lie between start and end of the span they were made in") {
  log_recording logs;
  std::vector<testing::span_record> spans;
  for (int i = 0; i < 100; ++i) {
    OTLPKIT_SPAN("op");
    OTLPKIT_INFO("inside");
  }
  detail::global_runtime.spans.drain([&](std::uint16_t, std::string_view record) {
    spans.push_back(testing::span_record::from(span_view{record}, {}));
    return true;
  });
  const auto records = logs.take();
  REQUIRE(spans.size() == records.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    CHECK(records[i].time >= spans[i].start);
    CHECK(records[i].time <= spans[i].end);
    CHECK(records[i].observed_time == records[i].time);
  }
}

TEST_CASE("a time given is when it happened, and now is when it was observed") {
  log_recording logs;
  log(severity::info, "m", {}, {.time = 5});
  const auto record = logs.take_one();
  CHECK(record.time == 5);
  CHECK(record.observed_time > 1'700'000'000'000'000'000);
}

TEST_CASE("a diagnostic that is logged while a record is made harms neither") {
  log_recording logs;
  on_diagnostic([](diagnostic_level, std::string_view message) {
    log(severity::warn, message, {{"from", "otlpkit"}});
  });
  static const instrumentation_scope nameless{""};  // which is told as it is used first
  log(severity::info, "m", {{"k", 1}}, {.scope = &nameless});
  on_diagnostic(nullptr);
  const auto records = logs.take();
  REQUIRE(records.size() == 2);
  CHECK(records[0].attributes["from"] == "otlpkit");
  CHECK(records[1].body == "m");
  CHECK(records[1].attributes["k"] == 1);
}

TEST_CASE("attributes stay within the limits, and the record says what was dropped") {
  log_recording logs{0, {.count = 2, .value_length = 4, .depth = 64}};
  OTLPKIT_INFO("a longer message", {"a", 1}, {"b", "123456"}, {"c", 3}, {"d", 4});
  auto record = logs.take_one();
  CHECK(record.attributes.size() == 2);
  CHECK(record.attributes["b"] == "1234");
  CHECK(record.dropped_attributes == 2);
  CHECK(record.body == "a longer message");  // the limits are of attributes
  OTLPKIT_INFO("m", {"b", "123456"});
  record = logs.take_one();
  CHECK(record.attributes["b"] == "1234");
  CHECK(record.dropped_attributes == 0);
  OTLPKIT_INFO("m", {"a", 1}, {"b", 2}, {"c", 3});
  record = logs.take_one();
  CHECK(record.attributes.size() == 2);
  CHECK(record.dropped_attributes == 1);
  OTLPKIT_INFO("m", {"a", 1}, {"b", 2}, {"a", 3});
  record = logs.take_one();
  CHECK(record.attributes["a"] == 3);
  CHECK(record.attributes["b"] == 2);
  CHECK(record.dropped_attributes == 0);
}

TEST_CASE("an event has a name") {
  log_recording logs;
  OTLPKIT_LOG_EVENT(severity::info, "user.login", "logged in", {"user_id", "u-1"});
  auto record = logs.take_one();
  CHECK(record.event_name == "user.login");
  CHECK(record.body == "logged in");
  CHECK(record.attributes["user_id"] == "u-1");
  OTLPKIT_LOG_EVENT(severity::info, std::string{"device.crash"}, nullptr);
  record = logs.take_one();
  CHECK(record.event_name == "device.crash");
  CHECK(record.body.kind() == testing::value::type::empty);
}

TEST_CASE("an exception becomes type and message, and fields of the same name win") {
  log_recording logs;
  try {
    throw out_of_stock{"only 3 left"};
  } catch (const std::exception& e) {
    OTLPKIT_LOG_EXCEPTION(severity::warn, e, "cannot reserve", {"product_id", "p-1"});
    log(severity::warn, "m", {{"exception.message", "hidden"}}, {.exception = &e});
  }
  const auto records = logs.take();
  REQUIRE(records.size() == 2);
  CHECK(records[0].attributes["exception.type"].as_string().find("out_of_stock") != std::string::npos);
  CHECK(records[0].attributes["exception.message"] == "only 3 left");
  CHECK(records[0].attributes["product_id"] == "p-1");
  CHECK(records[1].attributes["exception.message"] == "hidden");
  CHECK(records[1].attributes.size() == 2);
}

TEST_CASE("records may be mirrored as events of their span") {
  log_recording logs{detail::mode_log_events};
  {
    OTLPKIT_SPAN("op");
    OTLPKIT_WARN("nearly full", {"free", 3});
    OTLPKIT_LOG_EVENT(severity::info, "user.login", nullptr, {"user_id", "u-1"});
  }
  OTLPKIT_INFO("outside of any span");
  CHECK(logs.take().size() == 3);
  int spans = 0;
  detail::global_runtime.spans.drain([&](std::uint16_t, std::string_view record) {
    ++spans;
    const auto s = testing::span_record::from(span_view{record}, {});
    REQUIRE(s.events.size() == 2);
    CHECK(s.events[0].name == "log");
    CHECK(s.events[0].attributes["otlpkit.log.severity"] == "WARN");
    CHECK(s.events[0].attributes["otlpkit.log.message"] == "nearly full");
    CHECK(s.events[0].attributes["free"] == 3);
    CHECK(s.events[1].name == "user.login");
    CHECK(s.events[1].attributes["user_id"] == "u-1");
    return true;
  });
  CHECK(spans == 1);
}

TEST_CASE("a record too large for the queue is counted, and large ones that fit arrive") {
  log_recording logs;
  const detail::record_drops before = detail::global_runtime.logs.dropped();
  const std::string large(std::size_t{5} << 20, 'x');
  OTLPKIT_INFO(large, {"k", large.substr(0, 100'000)});
  const auto record = logs.take_one();
  CHECK(record.body.as_string().size() == large.size());
  CHECK(record.attributes["k"].as_string().size() == 100'000);
  OTLPKIT_INFO(large + large);
  CHECK(logs.take().empty());
  CHECK(detail::global_runtime.logs.dropped().too_large - before.too_large == 1);
}

TEST_CASE("eight threads lose no record that is not counted") {
  log_recording logs;
  log_recording::queue(std::size_t{256} << 10, 2'048);
  const detail::record_drops before = detail::global_runtime.logs.dropped();
  constexpr int each = 5'000;
  std::atomic<int> running{8};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) OTLPKIT_INFO("work", {"thread", t}, {"i", i});
      --running;
    });
  }
  std::vector<int> next(8, 0);
  std::uint64_t arrived = 0;
  const auto take = [&] {
    for (const auto& r : logs.take()) {
      ++arrived;
      int& expected = next[static_cast<std::size_t>(r.attributes["thread"].as_int())];
      if (r.attributes["i"].as_int() < expected)
        expected = each + 1;  // twice, or out of order
      else
        expected = static_cast<int>(r.attributes["i"].as_int()) + 1;
    }
  };
  while (running.load() > 0) take();
  for (std::thread& t : threads) t.join();
  take();
  for (const int n : next) CHECK(n <= each);
  const detail::record_drops now = detail::global_runtime.logs.dropped();
  CHECK(arrived + (now.queue_full - before.queue_full) == 8 * each);
  CHECK(now.too_large == before.too_large);
}

TEST_CASE("logs work while spans are off, and say what context came from outside") {
  log_recording logs;
  detail::global_runtime.mode.store(detail::mode_logs | 1u << detail::log_level_shift, platform::release);
  const span_context remote{{{1, 2}}, {3}, flag_sampled, true, {}};
  const span_guard s{"not recorded", {}, {.parent = remote}};
  OTLPKIT_INFO("inside");
  CHECK(logs.take_one().span_id == hex(remote.span));
}
