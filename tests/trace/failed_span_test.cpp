// SPDX-License-Identifier: MIT
#include <otlpkit/otlpkit.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <stdexcept>

using namespace otlpkit;
using support::recording;

namespace {

struct works_while_destroyed {
  ~works_while_destroyed() {
    span_guard cleanup{"cleanup"};
    cleanup.set("rows", 2);
  }
};
struct fails_while_destroyed {
  ~fails_while_destroyed() {
    try {
      span_guard cleanup{"cleanup"};
      throw std::runtime_error{"inner"};
    } catch (const std::runtime_error&) {
    }
  }
};

}  // namespace

TEST_CASE("a span that an exception leaves has status ERROR") {
  recording spans;
  try {
    span_guard guard{"op"};
    throw std::runtime_error{"lost"};
  } catch (const std::runtime_error&) {
    span_guard handled{"handled"};  // begun while the exception is handled, not in flight
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].is_error());
  CHECK(all[0].attributes["error.type"] == "exception");
  CHECK(all[1].status == 0);
}

TEST_CASE("a child that an exception leaves has status ERROR, and so has its parent") {
  recording spans;
  try {
    OTLPKIT_SPAN("parent");
    { OTLPKIT_SPAN("fine", {"n", 1}); }
    OTLPKIT_SPAN("child", {"n", 2});
    throw std::runtime_error{"lost"};
  } catch (const std::runtime_error&) {
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  CHECK(all[0].status == 0);
  CHECK(all[1].is_error());
  CHECK(all[1].attributes["error.type"] == "exception");
  CHECK(all[1].attributes["n"] == 2);
  CHECK(all[2].is_error());
}

TEST_CASE("what was said about the failure stays when an exception leaves the span") {
  recording spans;
  try {
    span_guard a{"a"};
    a.fail("timeout", "after 3 s");
    span_guard b{"b"};
    b.status(status_code::ok);
    span_guard c{"c"};
    c.set("error.type", "known");
    throw 1;
  } catch (int) {
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  CHECK(all[0].is_error());
  CHECK(all[0].attributes["error.type"] == "known");
  CHECK(all[1].status == 1);
  CHECK_FALSE(all[1].attributes.contains("error.type"));
  CHECK(all[2].status_message == "after 3 s");
  CHECK(all[2].attributes["error.type"] == "timeout");
}

TEST_CASE("a span that lives within a destructor run by unwinding fails only by an exception of its own") {
  recording spans;
  try {
    works_while_destroyed w;
    throw std::runtime_error{"outer"};
  } catch (const std::runtime_error&) {
  }
  CHECK(spans.take_one().status == 0);
  try {
    fails_while_destroyed f;
    throw std::runtime_error{"outer"};
  } catch (const std::runtime_error&) {
  }
  CHECK(spans.take_one().is_error());
}
