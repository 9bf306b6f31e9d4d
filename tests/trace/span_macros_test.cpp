// SPDX-License-Identifier: MIT
// Macros encode fields where they stand. What comes out is what the calls make of the same fields.
#include <otlpkit/trace/trace.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace otlpkit;

namespace {

constexpr std::size_t root_head = 54;  // ids and times: what differs between two spans

std::uint64_t standing_clock() noexcept { return 1'000; }

/// The bytes of the two spans `record` makes, from the name on.
template <class Record>
std::vector<std::string> bodies(const span_limits& limits, Record record) {
  support::recording spans{{.limits = limits}};
  detail::global_runtime.clock.use(&standing_clock, 5'000);
  record();
  std::vector<std::string> out;
  for (const auto& s : spans.take()) out.push_back(s.bytes.substr(root_head));
  return out;
}

const span_limits limits_of_interest[] = {{},
                                          {.attributes = 2, .event_attributes = 2},
                                          {.attributes = 0, .event_attributes = 0},
                                          {.attribute_value_length = 3},
                                          {.events = 1}};

}  // namespace

/// As attributes of a new span, of an event, and of a second event.
#define CHECK_FIELDS(...)                                \
  for (const span_limits& limits : limits_of_interest) { \
    const auto written = bodies(limits, [&] {            \
      OTLPKIT_SPAN("operation", __VA_ARGS__);            \
      OTLPKIT_EVENT("something", __VA_ARGS__);           \
      OTLPKIT_EVENT("again", __VA_ARGS__);               \
    });                                                  \
    const auto called = bodies(limits, [&] {             \
      span_guard s{"operation", {__VA_ARGS__}};          \
      s.event("something", {__VA_ARGS__});               \
      s.event("again", {__VA_ARGS__});                   \
    });                                                  \
    CHECK(written.size() == 1);                          \
    CHECK(written == called);                            \
  }

TEST_CASE("fields of every kind and length are the same in a macro and in a call") {
  const std::string key = "runtime.key", invalid = "\xFF", long_key(40, 'k');
  for (const std::size_t length : {0u, 1u, 3u, 4u, 7u, 8u, 31u, 88u, 89u, 90u, 91u, 92u, 127u, 128u, 5'000u}) {
    const std::string text(length, 'x');
    CHECK_FIELDS({"text", text});
    CHECK_FIELDS({"a", 1}, {"text", text}, {"b", true});
    CHECK_FIELDS({"text", text}, {std::string_view{key}, text}, {"c", 0.5}, {"d", text});
    CHECK_FIELDS({"a", text}, {"b", text}, {"c", text}, {"d", text}, {"e", text}, {"f", text}, {"g", text},
                 {"h", text});
  }
  for (const std::int64_t n : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, std::int64_t{127}, std::int64_t{128},
                               std::int64_t{1} << 42, INT64_MAX}) {
    CHECK_FIELDS({"n", n}, {"after", true});
    CHECK_FIELDS({"n", static_cast<std::uint64_t>(n)}, {"after", 1.5});
  }
  CHECK_FIELDS({"a", nullptr}, {"b", std::vector<int>{1, 2}}, {"c", byte_view{"xy", 2}});
  CHECK_FIELDS({std::string_view{long_key}, 1}, {std::string_view{invalid}, 2}, {std::string_view{}, 3});
}

TEST_CASE("a value that cannot be written in place leaves those before and after it as they are") {
  const std::string beyond =
                        "gr\xC3\xBC\xC3\x9F"
                        "e",
                    invalid = "a\xFFz", plain = "plain";
  CHECK_FIELDS({"a", beyond});
  CHECK_FIELDS({"a", 1}, {"b", beyond}, {"c", 2}, {"d", plain});
  CHECK_FIELDS({"a", plain}, {"b", plain}, {"c", plain}, {"d", invalid});
  CHECK_FIELDS({"a", beyond}, {"b", 2}, {"c", plain}, {"d", 3}, {"e", invalid}, {"f", 4});
  CHECK_FIELDS({"a", beyond}, {"b", invalid}, {"c", std::vector<std::string>{plain}}, {"d", beyond});
}

TEST_CASE("of two fields with the same key the later one counts in a macro, too") {
  const std::string plain = "plain", key = "a";
  CHECK_FIELDS({"a", 1}, {"a", plain});
  CHECK_FIELDS({"a", 1}, {"b", 2}, {"a", 3}, {"c", plain});
  CHECK_FIELDS({"a", 1}, {std::string_view{key}, 2});
  CHECK_FIELDS({"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"a", 5}, {"b", plain}, {"e", 6}, {"f", 7});
}

TEST_CASE("an event of a macro may have any name, and none of its fields is evaluated where nothing records") {
  for (const std::string& name : {std::string{}, std::string{"e"}, std::string(64, 'n'), std::string(65, 'n'),
                                  std::string(300, 'n'), std::string{"\xC3\xA9v\xC3\xA9nement"}, std::string{"\xFF"}}) {
    const auto written = bodies({}, [&] {
      OTLPKIT_SPAN("operation");
      OTLPKIT_EVENT(name);
      OTLPKIT_EVENT(name, {"n", 1});
    });
    const auto called = bodies({}, [&] {
      span_guard s{"operation"};
      s.event(name);
      s.event(name, {{"n", 1}});
    });
    CHECK(written == called);
  }
  int evaluated = 0;
  OTLPKIT_EVENT("nobody listens", {"n", ++evaluated});
  CHECK(evaluated == 0);
}

TEST_CASE("children of a trace that is not sampled take the short way, and record nothing") {
  support::recording spans;
  span_context caller;
  caller.trace = {{1, 2}};
  caller.span = {3};
  caller.remote = true;
  int evaluated = 0;
  {
    const span_guard root{"root", {}, {.parent = caller}};
    CHECK(detail::this_thread.slot->top->state == detail::entry_state::usual);
    for (int i = 0; i < 3; ++i) {
      OTLPKIT_SPAN("child", {"n", ++evaluated});
      OTLPKIT_EVENT("event", {"n", ++evaluated});
      CHECK(current_context().trace == caller.trace);
      CHECK(current_context().span != root.context().span);
      CHECK_FALSE(current_context().sampled());
    }
    CHECK(current_context().span == root.context().span);
    const span_guard recorded{"of another trace", {}, {.parent = no_parent}};
    OTLPKIT_SPAN("its child");
  }
  CHECK(evaluated == 0);
  CHECK(spans.take().size() == 2);
}
