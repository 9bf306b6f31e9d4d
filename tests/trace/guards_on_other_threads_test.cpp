// SPDX-License-Identifier: MIT
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace otlpkit;
using support::hex;
using support::recording;

namespace {

/// A coroutine of nobody's library: whoever calls resume() runs it, on whatever thread.
class wanderer {
 public:
  struct promise_type {
    wanderer get_return_object() { return wanderer{std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };

  wanderer() = default;
  wanderer(wanderer&& other) noexcept : handle_{std::exchange(other.handle_, nullptr)} {}
  wanderer& operator=(wanderer&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~wanderer() { destroy(); }
  void resume() { handle_.resume(); }
  void destroy() {
    if (handle_ != nullptr) std::exchange(handle_, nullptr).destroy();
  }

 private:
  explicit wanderer(std::coroutine_handle<promise_type> h) : handle_{h} {}
  std::coroutine_handle<promise_type> handle_ = nullptr;
};

template <class F>
void on_another_thread(F fn) {
  std::thread{std::move(fn)}.join();
}

std::atomic<int> reports{0};
std::string last_report;

struct reports_kept {
  reports_kept() {
    reports = 0;
    detail::stray_guard_reported.store(false, platform::relaxed);
    on_diagnostic([](diagnostic_level, std::string_view message) {
      if (reports.fetch_add(1) == 0) last_report = message;
    });
  }
  reports_kept(const reports_kept&) = delete;
  reports_kept& operator=(const reports_kept&) = delete;
  ~reports_kept() { on_diagnostic(nullptr); }
};

wanderer works(span_context& self) {
  OTLPKIT_SPAN("wanders", {"n", 1});
  self = current_context();
  co_await std::suspend_always{};
  OTLPKIT_SPAN("after");
  co_await std::suspend_always{};
}

wanderer fails() {
  OTLPKIT_SPAN("fails");
  co_await std::suspend_always{};
  throw std::runtime_error{"on the other thread"};
}

const otlpkit::testing::span_record& named(const std::vector<otlpkit::testing::span_record>& all,
                                           std::string_view name) {
  for (const auto& r : all) {
    if (r.name == name) return r;
  }
  FAIL("no span " << name);
  return all.front();
}

std::size_t depth() {
  std::size_t n = 0;
  for (const detail::context_entry* e = detail::current_slot().top; e != nullptr; e = e->below) ++n;
  return n;
}

}  // namespace

TEST_CASE("a guard that ends on another thread leaves nothing behind on the first, and it is reported once") {
  recording spans;
  const reports_kept kept;
  for (int i = 0; i < 3; ++i) {
    span_context self;
    wanderer w = works(self);
    CHECK(current_context().span == self.span);  // by mistake: nobody says that the coroutine is suspended
    on_another_thread([&] {
      w.resume();
      w.resume();
      CHECK_FALSE(current_context().valid());
      w.destroy();
    });
    CHECK_FALSE(current_context().valid());
    CHECK_FALSE(current_span().recording());
    { OTLPKIT_SPAN("next"); }
    const auto all = spans.take();
    REQUIRE(all.size() == 3);
    const auto& wanders = named(all, "wanders");
    CHECK(wanders.span_id == hex(self.span));
    CHECK(wanders.attributes["n"] == 1);
    CHECK(wanders.status == 0);
    CHECK_FALSE(wanders.attributes.contains("otlpkit.abandoned"));
    CHECK(named(all, "next").is_root());
  }
  CHECK(reports.load() == 1);
  CHECK(last_report.find("otlpkit::co_spawn") != std::string::npos);
}

TEST_CASE("a frame that another thread destroys while suspended leaves nothing behind, whatever began meanwhile") {
  recording spans;
  const reports_kept kept;
  span_context self;
  wanderer w = works(self);
  {
    OTLPKIT_SPAN("meanwhile");
    on_another_thread([&] { w.destroy(); });
    OTLPKIT_SPAN("child");
  }
  CHECK_FALSE(current_context().valid());
  { OTLPKIT_SPAN("next"); }
  const auto all = spans.take();
  REQUIRE(all.size() == 4);
  CHECK(named(all, "child").parent_id == named(all, "meanwhile").span_id);
  CHECK(named(all, "meanwhile").parent_id == hex(self.span));  // by mistake
  CHECK(named(all, "next").is_root());
  CHECK(reports.load() == 1);
}

TEST_CASE("interleaved coroutines of one thread may have wrong parents, are reported once, and leave nothing behind") {
  recording spans;
  const reports_kept kept;
  span_context a;
  span_context b;
  wanderer first = works(a);
  wanderer second = works(b);
  first.destroy();
  CHECK(current_context().span == b.span);
  OTLPKIT_RECORD("on_second", true);
  second.destroy();
  CHECK_FALSE(current_context().valid());
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[1].attributes["on_second"] == true);
  CHECK(reports.load() == 1);
}

TEST_CASE("a guard may outlive the thread it began on") {
  recording spans;
  const reports_kept kept;
  for (int i = 0; i < 4; ++i) {  // the next thread is likely to have the memory of the one before
    wanderer w;
    on_another_thread([&] {
      span_context self;
      w = works(self);
    });
    on_another_thread([&] {
      OTLPKIT_SPAN("elsewhere");
      w.resume();
      w.destroy();
    });
  }
  CHECK(spans.take().size() == 12);
}

TEST_CASE("an exception that leaves a coroutine on another thread is the failure of its span") {
  recording spans;
  const reports_kept kept;
  wanderer w = fails();
  on_another_thread([&] { w.resume(); });
  CHECK(spans.take_one().is_error());
}

TEST_CASE("the thread it began on records on a guard while another ends it") {
  recording spans;
  const reports_kept kept;
  for (int i = 0; i < 200; ++i) {
    span_context self;
    wanderer w = works(self);
    span& current = current_span();
    std::binary_semaphore begun{0};
    std::thread other{[&] {
      begun.acquire();
      w.resume();
      w.destroy();
    }};
    begun.release();
    for (int n = 0; n < 50; ++n) {
      OTLPKIT_RECORD("n", n);
      OTLPKIT_EVENT("e", {"n", n});
      { OTLPKIT_SPAN("child", {"n", n}); }
    }
    other.join();
    { OTLPKIT_SPAN("takes out what is over"); }
    span_context another;
    const wanderer reuses = works(another);
    current.set("late", true);  // held for too long: on some span or none
    static_cast<void>(current.context());
  }
  static_cast<void>(spans.take());
}

TEST_CASE("guards that end elsewhere do not pile up under those that live") {
  recording spans;
  const reports_kept kept;
  std::vector<wanderer> alive;
  std::size_t deepest = 0;
  for (int i = 0; i < 2'000; ++i) {
    span_context self;
    alive.push_back(works(self));
    if (alive.size() > 10) {  // there is always a living one on top
      on_another_thread([&] { alive.erase(alive.begin(), alive.begin() + 10); });
    }
    deepest = std::max(deepest, depth());
  }
  CHECK(deepest < 60);
  on_another_thread([&] { alive.clear(); });
  CHECK_FALSE(current_context().valid());
  CHECK(depth() == 0);
}

TEST_CASE("scopes of a coroutine that ends on another thread leave nothing behind either") {
  const auto carries = []() -> wanderer {
    const baggage_scope tenant{baggage{}.with("tenant", "a")};
    remote_context from;
    from.span = support::remote_context(true);
    const remote_scope remote{from};
    const auto attached = attach(context::current());
    co_await std::suspend_always{};
  };
  recording spans;
  wanderer w = carries();
  CHECK(current_baggage().get("tenant") == "a");
  CHECK(current_context().valid());
  on_another_thread([&] { w.destroy(); });
  CHECK(current_baggage().empty());
  CHECK_FALSE(current_context().valid());
  on_another_thread([&] { w = carries(); });
  w.destroy();
  CHECK_FALSE(current_context().valid());
}

TEST_CASE("a guard that is moved into an object goes on there, and may end on another thread") {
  recording spans;
  const reports_kept kept;
  std::unique_ptr<span_guard> moved;
  {
    span_guard guard{"moved", {{"a", 1}}};
    guard.event("before");
    moved = std::make_unique<span_guard>(std::move(guard));
    CHECK_FALSE(guard.recording());  // NOLINT(bugprone-use-after-move): that is what is tested
  }
  CHECK(moved->recording());
  CHECK(current_context().span == moved->context().span);
  OTLPKIT_RECORD("b", 2);
  auto again = std::make_unique<span_guard>(std::move(*moved));
  moved.reset();
  { OTLPKIT_SPAN("child"); }
  on_another_thread([&] { again.reset(); });
  CHECK_FALSE(current_context().valid());
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].parent_id == all[1].span_id);
  CHECK(all[1].attributes["a"] == 1);
  CHECK(all[1].attributes["b"] == 2);
  REQUIRE(all[1].events.size() == 1);
}

TEST_CASE("a guard that is no local variable does all that one does, and may end early") {
  recording spans;
  std::unique_ptr<span_guard> guard{new span_guard{"kept", {{"a", 1}}}};
  guard->link(guard->context());
  guard->rename("renamed");
  guard->fail("timeout", "text");
  guard->end();
  CHECK_FALSE(guard->recording());
  guard->set("late", 1);
  int evaluated = 0;
  OTLPKIT_RECORD("late", ++evaluated);
  OTLPKIT_EVENT("late", {"n", ++evaluated});
  CHECK(evaluated == 0);
  CHECK(current_context().span == guard->context().span);
  guard.reset();
  auto r = spans.take_one();
  CHECK(r.name == "renamed");
  CHECK(r.is_error());
  CHECK(r.links.size() == 1);
  CHECK_FALSE(r.attributes.contains("late"));
  {
    span_guard outer{"outer", {}, {.parent = support::remote_context(false)}};
    const auto unsampled = std::make_unique<span_guard>(span_name{"unsampled"});
    CHECK_FALSE(unsampled->recording());
    CHECK(current_context().span == unsampled->context().span);
  }
  CHECK(spans.take().empty());
}
