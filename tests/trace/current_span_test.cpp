// SPDX-License-Identifier: MIT
#include <otlpkit/otlpkit.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

using namespace otlpkit;
using otlpkit::testing::span_record;
using support::hex;
using support::recording;

OTLPKIT_SCOPE("program", "0.9")

namespace shop {
void at_global_scope() { OTLPKIT_SPAN("a"); }
}  // namespace shop

namespace library {
OTLPKIT_SCOPE("library", "1.2.0", "https://example.org/schema")
void in_namespace() { OTLPKIT_SPAN("b"); }

namespace part {
void without_its_own() { OTLPKIT_SPAN("c"); }
}  // namespace part
namespace backend {
OTLPKIT_SCOPE("library.backend")
void nested() { OTLPKIT_SPAN("d"); }
}  // namespace backend
}  // namespace library

namespace {

/// A value whose making is seen.
int evaluated = 0;
int costly() { return ++evaluated; }

span_guard started(const char* name) {
  span_guard guard{std::string_view{name}};
  guard.set("from", "a function");
  return guard;
}

}  // namespace

TEST_CASE("guards nest: the innermost is current and the one around it comes back") {
  recording spans;
  CHECK_FALSE(current_context().valid());
  {
    span_guard outer{"outer"};
    CHECK(&current_span() == &outer);
    {
      span_guard inner{"inner"};
      CHECK(&current_span() == &inner);
      CHECK(current_context().span == inner.context().span);
    }
    CHECK(&current_span() == &outer);
    span not_current{"not current"};
    CHECK(&current_span() == &outer);
  }
  CHECK_FALSE(current_context().valid());
  CHECK_FALSE(current_span().recording());
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  CHECK(all[0].parent_id == all[2].span_id);
  CHECK(all[1].parent_id == all[2].span_id);
}

TEST_CASE("guards that end in another order than they began leave the right one current") {
  recording spans;
  auto a = std::make_unique<span_guard>(span_name{"a"});
  auto b = std::make_unique<span_guard>(span_name{"b"});
  auto c = std::make_unique<span_guard>(span_name{"c"});
  b.reset();
  CHECK(current_context().span == c->context().span);
  OTLPKIT_RECORD("by_macro", 1);
  c->set("by_guard", 2);
  c.reset();
  CHECK(current_context().span == a->context().span);
  a.reset();
  CHECK_FALSE(current_context().valid());
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  CHECK(all[1].name == "c");
  CHECK(all[1].attributes["by_macro"] == 1);
  CHECK(all[1].attributes["by_guard"] == 2);
}

TEST_CASE("a span that was ended stays the parent of what follows in its scope but takes no more") {
  recording spans;
  {
    span_guard outer{"outer"};
    outer.end();
    OTLPKIT_RECORD("late", 1);
    OTLPKIT_SPAN("inner");
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].attributes.empty());
  CHECK(all[1].parent_id == all[0].span_id);
}

TEST_CASE("a guard can be returned and moved, and the span goes on where it was moved to") {
  recording spans;
  {
    span_guard first = started("returned");
    CHECK(&current_span() == &first);
    span_guard second{std::move(first)};
    CHECK(&current_span() == &second);
    CHECK(second.recording());
    CHECK_FALSE(first.recording());  // NOLINT(bugprone-use-after-move): that is what is tested
    first.set("lost", true);
    first.end();
    second.set("kept", true);
    OTLPKIT_RECORD("by_macro", 3);
    OTLPKIT_SPAN("child");
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].parent_id == all[1].span_id);
  CHECK(all[1].attributes.size() == 3);
  CHECK(all[1].attributes["from"] == "a function");
  CHECK(all[1].attributes["by_macro"] == 3);
  CHECK_FALSE(current_context().valid());
}

TEST_CASE("a guard can be moved while a span above it is current") {
  recording spans;
  std::optional<span_guard> moved;
  {
    span_guard outer{"outer"};
    {
      span_guard inner{"inner"};
      moved.emplace(std::move(outer));
      CHECK(&current_span() == &inner);
    }
    CHECK(&current_span() == &*moved);
  }
  CHECK(&current_span() == &*moved);
  moved.reset();
  CHECK_FALSE(current_context().valid());
  CHECK(spans.take().size() == 2);
}

TEST_CASE("the current span belongs to its thread") {
  recording spans;
  span_guard here{"here"};
  std::thread{[] {
    CHECK_FALSE(current_context().valid());
    span_guard there{"there"};
  }}.join();
  CHECK(spans.take_one().is_root());
  CHECK(&current_span() == &here);
}

TEST_CASE("macros record on the current span") {
  recording spans;
  {
    OTLPKIT_SPAN("product.view", {"product_id", 7}, {"locale", "de"}, {"c", 3}, {"d", 4}, {"e", 5}, {"f", 6}, {"g", 7},
                 {"h", 8});
    OTLPKIT_RECORD("cache_hit", true);
    OTLPKIT_RECORD("product_id", 8);
    OTLPKIT_EVENT("cache.evicted", {"entries", 2}, {"why", "full"});
    OTLPKIT_EVENT("plain");
    OTLPKIT_FAIL("out_of_stock", "only 3 left");
  }
  {
    OTLPKIT_SPAN("no fields");
    OTLPKIT_FAIL("timeout");
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  const span_record& r = all[0];
  CHECK(r.attributes.size() == 10);
  CHECK(r.attributes["product_id"] == 8);
  CHECK(r.attributes["h"] == 8);
  CHECK(r.attributes["cache_hit"] == true);
  CHECK(r.attributes["error.type"] == "out_of_stock");
  REQUIRE(r.events.size() == 2);
  CHECK(r.events[0].attributes["entries"] == 2);
  CHECK(r.events[0].attributes["why"] == "full");
  CHECK(r.events[1].name == "plain");
  CHECK(r.is_error());
  CHECK(r.status_message == "only 3 left");
  CHECK(all[1].is_error());
  CHECK(all[1].status_message.empty());
}

TEST_CASE("the fields of macros are evaluated when the span records") {
  recording spans;
  evaluated = 0;
  {
    OTLPKIT_SPAN("op", {"n", costly()});
    OTLPKIT_RECORD("m", costly());
    OTLPKIT_EVENT("e", {"k", costly()});
  }
  CHECK(evaluated == 3);
}

TEST_CASE("the fields of macros are not evaluated without telemetry") {
  evaluated = 0;
  {
    OTLPKIT_SPAN("op", {"n", costly()});
    OTLPKIT_RECORD("m", costly());
    OTLPKIT_EVENT("e", {"k", costly()});
    OTLPKIT_FAIL(costly() == 0 ? "a" : "b");
  }
  CHECK(evaluated == 0);
}

TEST_CASE("the fields of macros are not evaluated in a trace that is not sampled") {
  recording spans;
  evaluated = 0;
  {
    span_guard served{"served", {}, {.parent = support::remote_context(false)}};
    CHECK_FALSE(served.recording());
    OTLPKIT_SPAN("op", {"n", costly()});
    OTLPKIT_RECORD("m", costly());
    OTLPKIT_EVENT("e", {"k", costly()});
    CHECK(current_context().trace == served.context().trace);
    CHECK(current_context().span != served.context().span);
    CHECK_FALSE(current_context().sampled());
  }
  CHECK(evaluated == 0);
  CHECK(spans.take().empty());
}

TEST_CASE("without telemetry a parent from outside is passed on and nothing is recorded") {
  const span_context remote = support::remote_context(true, "a=1");
  {
    span_guard served{"served", {}, {.parent = remote}};
    CHECK_FALSE(served.recording());
    CHECK(current_context().span == remote.span);
    CHECK(current_context().trace == remote.trace);
    CHECK(current_context().state.header() == "a=1");
    CHECK(current_context().sampled());
    OTLPKIT_SPAN("op");
    CHECK(current_context().span == remote.span);
    span_guard cut{"cut", {}, {.parent = no_parent}};
    CHECK_FALSE(current_context().valid());
  }
  CHECK_FALSE(current_context().valid());
  recording spans;
  CHECK(spans.take().empty());
}

TEST_CASE("a span that began before telemetry did, or outlives it, does no harm") {
  std::optional<recording> spans;
  {
    span_guard before{"before"};
    spans.emplace();
    before.set("a", 1);
    { span_guard during{"during"}; }
    CHECK(spans->take_one().is_root());
    span_guard after{"after"};
    spans.reset();
    after.set("a", 1);
    OTLPKIT_SPAN("without telemetry");
  }
  CHECK_FALSE(current_context().valid());
  spans.emplace();
  static_cast<void>(spans->take());
}

TEST_CASE("macros record as the scope declared nearest around them") {
  recording spans;
  shop::at_global_scope();
  library::in_namespace();
  library::part::without_its_own();
  library::backend::nested();
  const auto all = spans.take();
  REQUIRE(all.size() == 4);
  CHECK(all[0].scope == "program");
  CHECK(all[0].scope_version == "0.9");
  CHECK(all[1].scope == "library");
  CHECK(all[1].scope_version == "1.2.0");
  CHECK(all[2].scope == "library");
  CHECK(all[3].scope == "library.backend");
}

TEST_CASE("children are named by literals of any length") {
  recording spans;
  {
    OTLPKIT_SPAN("parent");
    { OTLPKIT_SPAN(""); }
    { OTLPKIT_SPAN("a"); }
    { OTLPKIT_SPAN("four"); }
    { OTLPKIT_SPAN("eight...", {"text", std::string(100, 't')}); }
    { OTLPKIT_SPAN("sixteen bytes..."); }
    { OTLPKIT_SPAN("thirty-two bytes, and none over."); }
    { OTLPKIT_SPAN("thirty-two bytes, and one over it"); }
    { OTLPKIT_SPAN("\xC3\xBC"); }
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 9);
  const char* const names[] = {"",
                               "a",
                               "four",
                               "eight...",
                               "sixteen bytes...",
                               "thirty-two bytes, and none over.",
                               "thirty-two bytes, and one over it",
                               "\xC3\xBC",
                               "parent"};
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].name == names[i]);
  for (std::size_t i = 0; i < 8; ++i) CHECK(all[i].parent_id == all[8].span_id);
}

TEST_CASE("a child does all that a root does: limits, links, status, other names, and moves") {
  recording spans{{.limits = {.attributes = 2, .events = 1}}};
  {
    span_guard root{"root"};
    span_guard child{"child", {{"a", 1}, {"b", 2}, {"c", 3}}};
    child.event("one");
    child.event("two");
    child.link(root.context());
    child.rename(std::string{"run time"});
    child.status(status_code::error, "text");
    const span_guard moved{std::move(child)};
    CHECK(current_context().span == moved.context().span);
    const span_guard below{"below"};
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  CHECK(all[0].parent_id == all[1].span_id);
  const span_record& r = all[1];
  CHECK(r.name == "run time");
  CHECK(r.parent_id == all[2].span_id);
  CHECK(r.attributes.size() == 2);
  CHECK(r.dropped_attributes == 1);
  CHECK(r.events.size() == 1);
  CHECK(r.dropped_events == 1);
  CHECK(r.links.size() == 1);
  CHECK(r.status_message == "text");
  CHECK(r.start <= all[0].start);
  CHECK(r.end >= all[0].end);
}

TEST_CASE("in a forked child the open spans of the parent are context and are not recorded") {
  recording spans;
  std::optional<span_guard> root;
  std::optional<span_guard> child;
  root.emplace(span_name{"root"});
  child.emplace(span_name{"child"});
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const span_id parent = child->context().span;
    { OTLPKIT_SPAN("here"); }
    child.reset();
    root.reset();
    const auto all = spans.take();
    ::_exit(all.size() == 1 && all[0].parent_id == hex(parent) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(status == 0);
  child.reset();
  root.reset();
  CHECK(spans.take().size() == 2);
}

TEST_CASE("a guard can be made in place when its name says that it is one") {
  recording spans;
  {
    std::optional<span_guard> guard;
    guard.emplace(span_name{"in place"});
  }
  CHECK(spans.take_one().name == "in place");
}
