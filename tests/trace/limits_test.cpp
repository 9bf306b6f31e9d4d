// SPDX-License-Identifier: MIT
#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

using namespace otlpkit;
using otlpkit::testing::span_record;
using support::recording;
using value_type = value_view::type;

TEST_CASE("a span keeps its first attributes and counts what comes beyond") {
  recording spans{{.limits = {.attributes = 3}}};
  {
    span s{"op", {{"a", 1}, {"b", 2}}};
    s.set("c", 3);
    s.set("d", 4);
    s.set("d", 5);
    s.set("a", "replaced");  // a key that is there is no new one
  }
  const span_record r = spans.take_one();
  CHECK(r.attributes.size() == 3);
  CHECK(r.attributes["a"] == "replaced");
  CHECK_FALSE(r.attributes.contains("d"));
  CHECK(r.dropped_attributes == 2);
}

TEST_CASE("the default limits are the specification's 128") {
  recording spans;
  {
    span s{"op"};
    for (int i = 0; i < 130; ++i) {
      const std::string n = std::to_string(i);
      s.set(n, i);
      s.event(n);
      s.link(s.context());
    }
  }
  const span_record r = spans.take_one();
  CHECK(r.attributes.size() == 128);
  CHECK(r.events.size() == 128);
  CHECK(r.links.size() == 128);
  CHECK(r.dropped_attributes == 2);
  CHECK(r.dropped_events == 2);
  CHECK(r.dropped_links == 2);
}

TEST_CASE("events and links have limits of their own, and so do their attributes") {
  recording spans{{.limits = {.events = 1, .links = 2, .event_attributes = 1, .link_attributes = 0}}};
  {
    span s{"op"};
    s.event("kept", {{"a", 1}, {"b", 2}, {"a", 3}});
    s.event("dropped");
    for (int i = 0; i < 3; ++i) s.link(s.context(), {{"a", 1}, {"b", 2}});
  }
  const span_record r = spans.take_one();
  REQUIRE(r.events.size() == 1);
  CHECK(r.events[0].name == "kept");
  CHECK(r.events[0].attributes.size() == 1);
  CHECK(r.events[0].attributes["a"] == 3);
  CHECK(r.events[0].dropped_attributes == 1);
  REQUIRE(r.links.size() == 2);
  CHECK(r.links[0].attributes.empty());
  CHECK(r.links[1].dropped_attributes == 2);
  CHECK(r.dropped_events == 1);
  CHECK(r.dropped_links == 1);
  CHECK(r.dropped_attributes == 0);
}

TEST_CASE("limits of zero keep nothing and count all") {
  recording spans{{.limits = {.attributes = 0, .attribute_value_length = 0, .events = 0, .links = 0}}};
  {
    span s{"op", {{"a", 1}}};
    s.event("e");
    s.link(s.context());
    s.fail("timeout");
  }
  const span_record r = spans.take_one();
  CHECK(r.attributes.empty());
  CHECK(r.events.empty());
  CHECK(r.links.empty());
  CHECK(r.dropped_attributes == 2);
  CHECK(r.dropped_events == 1);
  CHECK(r.dropped_links == 1);
  CHECK(r.is_error());
}

TEST_CASE("text is cut after so many code points, bytes after so many bytes") {
  recording spans{{.limits = {.attribute_value_length = 3}}};
  const unsigned char raw[] = {1, 2, 3, 4};
  {
    span s{"a name has no limit",
           {{"ascii", "abcd"}, {"short", "abc"}, {"wide", "\xF0\x9F\x9B\x92\xC3\xBC\xE2\x82\xAC!"}}};
    s.set("bytes", byte_view{raw, sizeof raw});
    s.set("array", std::vector<std::string>{"abcd", "x"});
    s.set("map", std::map<std::string, std::string>{{"a long key", "abcd"}});
    s.set("number", 123456);
    s.event("a name has no limit", {{"text", "abcd"}});
    s.link(s.context(), {{"text", "abcd"}});
    s.status(status_code::error, "nor has this");
  }
  const span_record r = spans.take_one();
  CHECK(r.name == "a name has no limit");
  CHECK(r.attributes["ascii"] == "abc");
  CHECK(r.attributes["short"] == "abc");
  CHECK(r.attributes["wide"] == "\xF0\x9F\x9B\x92\xC3\xBC\xE2\x82\xAC");
  CHECK(r.attributes["bytes"].as_string() == "\1\2\3");
  CHECK(r.attributes["array"].elements().at(0) == "abc");
  CHECK(r.attributes["map"].entries().at(0).first == "a long key");
  CHECK(r.attributes["map"].entries().at(0).second == "abc");
  CHECK(r.attributes["number"] == 123456);
  CHECK(r.events.at(0).name == "a name has no limit");
  CHECK(r.events.at(0).attributes["text"] == "abc");
  CHECK(r.links.at(0).attributes["text"] == "abc");
  CHECK(r.status_message == "nor has this");
  CHECK(r.dropped_attributes == 0);  // what was cut is not dropped
}

namespace nested {
struct deep {
  int levels;
};
std::vector<deep> attribute_value(const deep& d) {
  return d.levels == 0 ? std::vector<deep>{} : std::vector<deep>{{d.levels - 1}};
}
}  // namespace nested

TEST_CASE("what is nested deeper than the limit becomes an empty value") {
  const auto levels = [](const otlpkit::testing::value& v) {
    int n = 0;
    const otlpkit::testing::value* at = &v;
    for (; at->kind() == value_type::array; ++n) {
      if (at->elements().empty()) return n + 1;
      at = &at->elements()[0];
    }
    return n;
  };
  for (const std::uint32_t depth : {0u, 1u, 3u, 64u}) {
    recording spans{{.limits = {.attribute_depth = depth}}};
    { span s{"op", {{"deep", nested::deep{200}}}}; }
    CHECK(levels(spans.take_one().attributes["deep"]) == static_cast<int>(depth));
  }
}

TEST_CASE("an attribute, event or link too large for any record is dropped and the rest stays") {
  recording spans;
  recording::queue(std::size_t{64} << 20, 2048);
  const std::string huge(record_buffer::max_size, 'x');
  {
    span s{"op", {{"a", 1}}};
    s.set("huge", huge);
    s.set("list", std::vector<std::string>{"small", huge});
    s.event("before");
    s.event(huge);
    s.link(s.context(), {{"huge", huge}, {"small", 1}});
    s.rename(std::string_view{"renamed"});
    s.set("b", 2);
  }
  const span_record r = spans.take_one();
  CHECK(r.ok);
  CHECK(r.name == "renamed");
  CHECK(r.attributes.size() == 2);
  CHECK(r.dropped_attributes == 2);
  CHECK(r.events.size() == 1);
  CHECK(r.dropped_events == 1);
  REQUIRE(r.links.size() == 1);
  CHECK(r.links[0].attributes["small"] == 1);
  CHECK(r.links[0].dropped_attributes == 1);
}
