// SPDX-License-Identifier: MIT
#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

using namespace otlpkit;
using otlpkit::testing::span_record;
using support::hex;
using support::recording;

TEST_CASE("a span carries its name, kind, ids and times") {
  recording spans;
  const unix_ns before = platform::wall_ns();
  std::string trace;
  std::string id;
  {
    span s{"cart.add_item", {}, {.kind = span_kind::client}};
    trace = hex(s.context().trace);
    id = hex(s.context().span);
    CHECK(s.recording());
    CHECK(s.context().valid());
    CHECK(s.context().flags == (flag_sampled | flag_random));
  }
  const span_record r = spans.take_one();
  CHECK(r.ok);
  CHECK(r.name == "cart.add_item");
  CHECK(r.kind == 3);
  CHECK(r.trace_id == trace);
  CHECK(r.span_id == id);
  CHECK(r.is_root());
  CHECK(r.flags == 0x103);  // sampled, random, known not to be remote
  CHECK(r.start + 1'000'000 >= before);
  CHECK(r.end >= r.start);
  CHECK(r.end <= platform::wall_ns() + 1'000'000);
  CHECK(r.status == 0);
  CHECK(r.scope == "otlpkit");
}

TEST_CASE("every kind has OTLP's number and internal is the default") {
  recording spans;
  { span s{"op"}; }
  for (const span_kind k :
       {span_kind::internal, span_kind::server, span_kind::client, span_kind::producer, span_kind::consumer}) {
    span s{"op", {}, {.kind = k}};
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 6);
  CHECK(all[0].kind == 1);
  for (std::uint32_t k = 1; k <= 5; ++k) CHECK(all[k].kind == k);
}

TEST_CASE("the parent is the current span, an explicit one, or none") {
  recording spans;
  const span_context remote = support::remote_context(true, "vendor=1");
  {
    span_guard current{"current"};
    { span s{"child"}; }
    { span s{"remote", {}, {.parent = remote}}; }
    { span s{"root", {}, {.parent = no_parent}}; }
    { span s{"invalid", {}, {.parent = span_context{}}}; }
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 5);
  const span_record& current = all[4];
  CHECK(all[0].parent_id == current.span_id);
  CHECK(all[0].trace_id == current.trace_id);
  CHECK(all[0].flags == 0x103);

  CHECK(all[1].parent_id == hex(remote.span));
  CHECK(all[1].trace_id == hex(remote.trace));
  CHECK(all[1].trace_state == "vendor=1");
  CHECK(all[1].flags == 0x301);  // the parent is remote, and did not say that its trace id is random

  for (const std::size_t root : {std::size_t{2}, std::size_t{3}}) {
    CHECK(all[root].is_root());
    CHECK(all[root].trace_id != current.trace_id);
    CHECK(all[root].flags == 0x103);
  }
}

TEST_CASE("a remote parent's children are local to each other and keep its trace state") {
  recording spans;
  {
    span_guard served{"served", {}, {.parent = support::remote_context(true, "a=1,b=2")}};
    CHECK_FALSE(served.context().remote);
    span s{"work"};
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].flags == 0x101);
  CHECK(all[0].trace_state == "a=1,b=2");
  CHECK(all[1].flags == 0x301);
}

TEST_CASE("events keep their order, their time and their fields") {
  recording spans;
  const unix_ns before = platform::wall_ns();
  {
    span s{"op"};
    s.event("first");
    s.event("second", {{"n", 2}, {"n", 3}}, 5);
    s.event("");
  }
  const span_record r = spans.take_one();
  REQUIRE(r.events.size() == 3);
  CHECK(r.events[0].name == "first");
  CHECK(r.events[0].time + 1'000'000 >= before);
  CHECK(r.events[0].time >= r.start);
  CHECK(r.events[0].time <= r.end);
  CHECK(r.events[1].name == "second");
  CHECK(r.events[1].time == 5);
  CHECK(r.events[1].attributes.size() == 1);
  CHECK(r.events[1].attributes["n"] == 3);
  CHECK(r.events[2].name.empty());
}

TEST_CASE("links are added at the start and later") {
  recording spans;
  const span_context remote = support::remote_context(true, "k=v");
  span_context local;
  {
    span other{"other"};
    local = other.context();
    span s{"op", {}, {.links = {{remote, {{"why", "batch"}}}}}};
    s.link(local, {{"a", 1}, {"a", 2}});
    s.link({});
    s.link({}, {{"unknown", true}});
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  const span_record& r = all[0];
  REQUIRE(r.links.size() == 3);  // the link to nothing that says nothing is left out
  CHECK(r.links[0].trace_id == hex(remote.trace));
  CHECK(r.links[0].span_id == hex(remote.span));
  CHECK(r.links[0].trace_state == "k=v");
  CHECK(r.links[0].flags == 0x301);
  CHECK(r.links[0].attributes["why"] == "batch");
  CHECK(r.links[1].span_id == hex(local.span));
  CHECK(r.links[1].flags == 0x103);
  CHECK(r.links[1].attributes.size() == 1);
  CHECK(r.links[1].attributes["a"] == 2);
  CHECK(r.links[2].attributes["unknown"] == true);
  CHECK(r.dropped_links == 0);
}

TEST_CASE("ok is final, a later error replaces an earlier one, unset changes nothing") {
  struct step {
    status_code code;
    const char* text;
  };
  struct course {
    std::vector<step> steps;
    std::uint32_t status;
    const char* message;
  };
  const course courses[] = {
      {{}, 0, ""},
      {{{status_code::unset, "x"}}, 0, ""},
      {{{status_code::ok, "ignored"}}, 1, ""},
      {{{status_code::error, "a"}}, 2, "a"},
      {{{status_code::error, ""}}, 2, ""},
      {{{status_code::error, "a"}, {status_code::unset, "b"}}, 2, "a"},
      {{{status_code::error, "a longer text"}, {status_code::error, "b"}}, 2, "b"},
      {{{status_code::error, "a"}, {status_code::error, ""}}, 2, ""},
      {{{status_code::error, "a"}, {status_code::ok, "b"}}, 1, ""},
      {{{status_code::ok, ""}, {status_code::error, "b"}}, 1, ""},
      {{{status_code::ok, ""}, {status_code::unset, ""}}, 1, ""},
  };
  for (const course& c : courses) {
    recording spans;
    {
      span s{"op", {{"kept", 1}}};
      for (const step& st : c.steps) s.status(st.code, st.text);
      s.event("kept");
    }
    const span_record r = spans.take_one();
    CHECK(r.status == c.status);
    CHECK(r.status_message == c.message);
    CHECK(r.attributes["kept"] == 1);
    CHECK(r.events.size() == 1);
  }
}

TEST_CASE("fail says what kind of error and sets the status") {
  recording spans;
  {
    span s{"op"};
    s.fail("out_of_stock", "only 3 left");
  }
  const span_record r = spans.take_one();
  CHECK(r.is_error());
  CHECK(r.status_message == "only 3 left");
  CHECK(r.attributes["error.type"] == "out_of_stock");
}

TEST_CASE("a guard left by an exception says so, unless its span knows the error better") {
  std::string other = "k";  // one that the set of keys cannot tell from error.type at a glance
  while (field_key{other}.bit() != field_key{"error.type"}.bit()) other += 'k';
  recording spans;
  const auto leave = [](std::initializer_list<field> fields) {
    try {
      const span_guard guard{"op", fields};
      throw std::runtime_error{"gone"};
    } catch (const std::runtime_error&) {
    }
  };
  leave({{other, 1}});
  leave({{"error.type", "timeout"}, {other, 1}});
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].attributes["error.type"] == "exception");
  CHECK(all[1].attributes["error.type"] == "timeout");
  for (const span_record& r : all) CHECK(r.status == 2);
}

TEST_CASE("a recorded exception is an event with its type and message, and extra fields win") {
  recording spans;
  {
    span s{"op"};
    s.record_exception(std::out_of_range{"no such row"});
    s.record_exception(std::runtime_error{"secret"}, {{"exception.message", "***"}, {"row", 7}});
  }
  const span_record r = spans.take_one();
  CHECK(r.status == 0);
  REQUIRE(r.events.size() == 2);
  CHECK(r.events[0].name == "exception");
  CHECK(r.events[0].attributes["exception.type"] == "std::out_of_range");
  CHECK(r.events[0].attributes["exception.message"] == "no such row");
  CHECK(r.events[1].attributes.size() == 3);
  CHECK(r.events[1].attributes["exception.message"] == "***");
  CHECK(r.events[1].attributes["row"] == 7);
}

TEST_CASE("a span can be renamed, from and to literals and texts of any length") {
  const std::string run_time(200, 'n');
  for (const bool literal_first : {true, false}) {
    for (const bool literal_then : {true, false}) {
      recording spans;
      {
        span s{literal_first ? span_name{"GET"} : span_name{run_time}, {{"a", 1}}};
        s.set("b", 2);
        s.rename(literal_then ? span_name{"GET /cart"} : span_name{run_time + "2"});
        s.set("a", 3);
      }
      const span_record r = spans.take_one();
      CHECK(r.name == (literal_then ? "GET /cart" : run_time + "2"));
      CHECK(r.attributes["a"] == 3);
      CHECK(r.attributes["b"] == 2);
    }
  }
}

TEST_CASE("a child of few bytes, which ends by the short way, can be renamed, too") {
  const std::string run_time(20, 'n');
  recording spans;
  {
    const span_guard root{"root"};
    for (const span_name name :
         {span_name{"a literal of more than thirty-two bytes"}, span_name{"literal"}, span_name{run_time}}) {
      span_guard child{"child", {{"a", 1}}};
      child.rename(name);
    }
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 4);
  CHECK(all[0].name == "a literal of more than thirty-two bytes");
  CHECK(all[1].name == "literal");
  CHECK(all[2].name == run_time);
  for (std::size_t i = 0; i < 3; ++i) CHECK(all[i].attributes["a"] == 1);
}

TEST_CASE("invalid UTF-8 in a name, an event's name or a description becomes U+FFFD") {
  recording spans;
  {
    span s{std::string{"a\xC0z"}};
    s.event("e\xFF");
    s.status(status_code::error, "\xE2\x82");
  }
  const span_record r = spans.take_one();
  CHECK(r.name == "a\xEF\xBF\xBDz");
  CHECK(r.events.at(0).name == "e\xEF\xBF\xBD");
  CHECK(r.status_message == "\xEF\xBF\xBD");
}

TEST_CASE("start and end can be given, and an end before the start is the start") {
  recording spans;
  {
    span s{"given", {}, {.start_time = 1'000}};
    s.end(2'000);
  }
  {
    span s{"backwards", {}, {.start_time = 5'000}};
    s.end(4'000);
  }
  { span s{"from the past", {}, {.start_time = 1'000}}; }
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  CHECK(all[0].start == 1'000);
  CHECK(all[0].end == 2'000);
  CHECK(all[1].start == 5'000);
  CHECK(all[1].end == 5'000);
  CHECK(all[2].start == 1'000);
  CHECK(all[2].end > 1'000'000'000'000'000'000u);
}

TEST_CASE("after its end a span ignores calls and is recorded once, but keeps its identity") {
  recording spans;
  span_context context;
  {
    span s{"op"};
    s.end();
    CHECK_FALSE(s.recording());
    s.set("a", 1);
    s.event("e");
    s.link(support::remote_context(true));
    s.status(status_code::error, "late");
    s.record_exception(std::runtime_error{"late"});
    s.rename("late");
    s.end(5);
    context = s.context();
    CHECK(context.valid());
    span child{"child", {}, {.parent = context}};
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].name == "op");
  CHECK(all[0].attributes.empty());
  CHECK(all[0].events.empty());
  CHECK(all[0].links.empty());
  CHECK(all[0].status == 0);
  CHECK(all[1].parent_id == hex(context.span));
}

TEST_CASE("a scope says name, version, schema URL and attributes") {
  recording spans;
  static const instrumentation_scope plain{"shop.cart", "1.2.0", "https://example.org/schema"};
  static const instrumentation_scope with_fields{"shop.db", "2", {}, {{"driver", "sqlite"}}};
  { span s{"a", {}, {.scope = &plain}}; }
  { span s{"b", {}, {.scope = &with_fields}}; }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].scope == "shop.cart");
  CHECK(all[0].scope_version == "1.2.0");
  CHECK(all[1].scope == "shop.db");
  const scope_view first{detail::global_scopes.encoded(plain.number())};
  CHECK(first.schema_url() == "https://example.org/schema");
  const scope_view second{detail::global_scopes.encoded(with_fields.number())};
  CHECK(otlpkit::testing::attribute_list{second.attributes()}["driver"] == "sqlite");
}
