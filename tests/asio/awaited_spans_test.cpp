// SPDX-License-Identifier: MIT
// emits: telemetry
#include <doctest/doctest.h>

#include <asio/checks.hpp>
#include <support/emitted.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <functional>
#include <future>
#include <stdexcept>

using otlpkit::testing::span_record;

TEST_CASE("exceptions unwind the spans of a coroutine and leave the caller's current") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    const child_of span{{}, "caller"};
    bool caught = false;
    try {
      co_await fails(span.context());
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT(caught && is_current(span.context()));
  });
  const auto spans = recording.take();
  CHECK(named(spans, "fails").is_error());
  CHECK_FALSE(named(spans, "caller").is_error());
  CHECK(counted.wrong.load() == 0);
}

namespace {

struct at_scope_end {
  std::function<void()> what;
  ~at_scope_end() { what(); }
};

/// Calls `fn` in a destructor while an exception unwinds.
void call_while_unwinding(std::function<void()> fn) {
  try {
    const at_scope_end scope{std::move(fn)};
    throw std::logic_error{"unwinds"};
  } catch (const std::logic_error&) {
  }
}

}  // namespace

TEST_CASE("an exception counts only in the coroutine that throws it, whatever unwinds where it starts or resumes") {
  support::recording recording;
  asio::io_context io;
  call_while_unwinding([&io] {
    otlpkit::co_spawn(
        io,
        []() -> awaitable<void> {
          const otlpkit::span_guard span{"throws later"};
          co_await asio::post(asio::use_awaitable);
          throw std::runtime_error{"x"};
        },
        asio::detached);
    CHECK(io.poll_one() == 1);  // it starts
  });
  io.poll();
  io.restart();
  CHECK(named(recording.take(), "throws later").is_error());

  otlpkit::co_spawn(
      io,
      []() -> awaitable<void> {
        const otlpkit::span_guard span{"is well"};
        co_await asio::post(asio::use_awaitable);
      },
      asio::detached);
  CHECK(io.poll_one() == 1);
  call_while_unwinding([&io] { io.poll(); });
  CHECK_FALSE(named(recording.take(), "is well").is_error());
}

TEST_CASE("a coroutine destroyed while suspended leaves spans that are abandoned, not failed, and nothing current") {
  support::recording recording;
  {
    const otlpkit::span_guard mine{"main"};
    try {
      asio::io_context io;
      for (int i = 0; i < 10; ++i) {
        otlpkit::co_spawn(
            io,
            []() -> awaitable<void> {
              const otlpkit::span_guard outer{"outer"};
              const otlpkit::span_guard inner{"inner"};
              co_await wait_for_ever();
            },
            asio::detached);
        otlpkit::co_spawn(io, otlpkit::in_span("in_span", {{"n", i}}, wait_for_ever()), asio::detached);
      }
      io.poll();
      throw std::runtime_error{"the io_context goes while this unwinds"};
    } catch (const std::runtime_error&) {
    }
    CHECK(is_current(mine.context()));
  }
  const auto spans = recording.take();
  CHECK(spans.size() == 31);
  for (const span_record& s : spans) {
    CHECK(s.status == 0);
    CHECK(s.attributes.contains("otlpkit.abandoned") == (s.name != "main"));
  }
  const auto abandoned =
      std::find_if(spans.begin(), spans.end(), [](const span_record& s) { return s.name == "inner"; });
  REQUIRE(abandoned != spans.end());
  std::vector<span_record> of_mine{*abandoned};
  of_mine[0].name = "caller";
  support::emitted(of_mine);
}

namespace {

/// Waits until it is cancelled; then fails with an exception of its own, if it is to.
awaitable<void> wait_in_guard(bool fails_too) {
  const otlpkit::span_guard guard{fails_too ? "guard and more" : "guard"};
  bool cancelled = false;
  try {
    co_await wait_for_ever();
  } catch (const boost::system::system_error&) {
    if (!fails_too) throw;
    cancelled = true;
  }
  co_await asio::this_coro::throw_if_cancelled(false);
  if (cancelled) co_await otlpkit::in_span("clean-up", fails({}));
}

void check_cancelled(const span_record& s) {
  CAPTURE(s.name);
  CHECK(s.status == 0);
  CHECK(s.attributes.contains("otlpkit.cancelled"));
  CHECK(s.events.empty());
}

}  // namespace

TEST_CASE("what the others of a group are cancelled by is no failure of their spans: one alone is to blame") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    bool thrown = false;
    try {
      const otlpkit::span_guard all{"all"};
      co_await otlpkit::when_all(wait_in_guard(false), otlpkit::in_span("in_span", wait_for_ever()),
                                 otlpkit::in_span("to blame", fails({})), wait_in_guard(true));
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT(thrown);
    const otlpkit::span_guard any{"any"};
    co_await otlpkit::when_any(otlpkit::in_span("loser", wait_for_ever()), nothing({}));
  });
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  for (const char* name : {"guard", "in_span", "loser"}) check_cancelled(named(spans, name));
  CHECK(named(spans, "to blame").is_error());
  CHECK(named(spans, "all").is_error());
  CHECK_FALSE(named(spans, "any").is_error());
  // What goes wrong after the cancellation is an error where the exception is seen.
  CHECK(named(spans, "clean-up").is_error());
  CHECK_FALSE(named(spans, "guard and more").is_error());
  std::vector<span_record> of_mine{named(spans, "in_span")};
  of_mine[0].name = "caller";
  support::emitted(of_mine);
}

TEST_CASE("a task that takes no notice of a kind of cancellation was not cancelled, and may fail") {
  support::recording recording;
  asio::io_context io;
  asio::cancellation_signal signal;
  asio::steady_timer gate{io, asio::steady_timer::time_point::max()};
  const auto held = [&gate]() -> awaitable<void> {
    const otlpkit::span_guard guard{"held"};
    boost::system::error_code over;
    co_await gate.async_wait(asio::redirect_error(asio::use_awaitable, over));
    co_await fails({});
  };
  otlpkit::co_spawn(
      io,
      [&held]() -> awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await otlpkit::when_all(held());
      },
      asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr e) { EXPECT(e != nullptr); }));
  while (io.poll() != 0) {
  }
  signal.emit(asio::cancellation_type::total);
  io.poll();
  gate.cancel();
  io.run();
  CHECK(counted.wrong.load() == 0);
  CHECK(named(recording.take(), "held").is_error());
}

TEST_CASE("in_span and traced run an awaitable in a span with its fields, and record what it fails with") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    const child_of span{{}, "top"};
    std::string id = "u-1";
    awaitable<move_only> lazy =
        otlpkit::in_span(std::string{"user."} + "load", {{"user_id", id}, {"n", 3}}, number(span_context{}, 5));
    id.assign("changed later");
    EXPECT(*(co_await std::move(lazy)).value == 5);
    EXPECT(is_current(span.context()));
    const int n = co_await otlpkit::traced("traced", {{"a", 1}, {"b", true}}, [&](otlpkit::span& s) -> awaitable<int> {
      s.set("c", 2.5);
      co_await asio::post(asio::use_awaitable);
      EXPECT(otlpkit::current_span().recording());
      co_return 4;
    });
    EXPECT(n == 4);
    bool thrown = false;
    try {
      co_await otlpkit::traced("failing", [] { return fails({}); });
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT(thrown);
    const auto error = co_await otlpkit::in_span("code", {{"k", 1}}, []() -> awaitable<boost::system::error_code> {
      co_return asio::error::connection_refused;
    }());
    EXPECT(error == asio::error::connection_refused);
  });
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  const span_record& top = named(spans, "top");
  const span_record& load = named(spans, "user.load");
  CHECK(load.parent_id == top.span_id);
  CHECK(load.attributes["user_id"] == "u-1");
  CHECK(load.attributes["n"] == 3);
  const span_record& traced = named(spans, "traced");
  CHECK(traced.attributes["a"] == 1);
  CHECK(traced.attributes["b"] == true);
  CHECK(traced.attributes["c"] == 2.5);
  CHECK(named(spans, "failing").event("exception") != nullptr);
  CHECK(named(spans, "code").is_error());
}

TEST_CASE("a bound handler runs under the span it was bound in, on the executor that was bound to it") {
  support::recording recording;
  asio::io_context io;
  const auto strand = asio::make_strand(io);
  std::vector<std::unique_ptr<asio::steady_timer>> timers;
  for (int i = 0; i < 100; ++i) {
    const otlpkit::span_guard request{"request"};
    timers.push_back(std::make_unique<asio::steady_timer>(io, std::chrono::microseconds{random_below(200)}));
    timers.back()->async_wait(
        otlpkit::bind_context(asio::bind_executor(strand, [up = request.context(), &strand](boost::system::error_code) {
          EXPECT(strand.running_in_this_thread());
          const child_of callback{up, "callback"};
        })));
  }
  run_on(io, 4);
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 200);
  CHECK(wrong_parents(spans) == 0);
}

TEST_CASE("context, attach and bind carry the current span to threads, futures and callbacks") {
  support::recording recording;
  std::function<int(int)> callback;
  {
    const child_of span{{}, "main"};
    const span_context up = span.context();
    const otlpkit::context here = otlpkit::context::current();
    CHECK(here.span().span == up.span);
    std::thread{otlpkit::bind(here, [up] { const child_of there{up, "thread"}; })}.join();
    CHECK(std::async(std::launch::async, otlpkit::bind([up](int n) {
                       const child_of there{up, "async"};
                       return n + 1;
                     }),
                     1)
              .get() == 2);
    std::thread{[&] {
      {
        const auto attached = otlpkit::attach(here);
        const child_of there{up, "attached"};
      }
      EXPECT(!otlpkit::current_context().valid());
    }}.join();
    callback = otlpkit::bind([up](int n) {
      const child_of there{up, "callback"};
      return n;
    });
    const auto root = otlpkit::attach({});
    const child_of alone{{}, "alone"};
  }
  CHECK(callback(7) == 7);
  CHECK(callback(8) == 8);
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 7);
  CHECK(wrong_parents(spans) == 0);
}

namespace {

/// What a decorator tells observe().
struct operation {
  int& seen;
  bool tolerant = false;
  [[nodiscard]] otlpkit::span_guard start() const { return otlpkit::span_guard{"operation"}; }
  void succeeded(otlpkit::span&) const { seen = -1; }
  void succeeded(otlpkit::span&, int result) const { seen = result; }
  [[nodiscard]] bool failed(otlpkit::span& s) const {
    otlpkit::record_current_exception(s);
    return tolerant;
  }
};

}  // namespace

TEST_CASE("a decorated call that returns an awaitable is observed until the result is there") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    int seen = 0;
    const int result = co_await otlpkit::detail::observe(operation{seen}, []() -> awaitable<int> {
      co_await asio::post(asio::use_awaitable);
      EXPECT(otlpkit::current_span().recording());
      co_return 6;
    });
    EXPECT(result == 6 && seen == 6);
    const int fallback = co_await otlpkit::detail::observe(operation{seen, true}, []() -> awaitable<int> {
      co_await asio::post(asio::use_awaitable);
      throw std::runtime_error{"down"};
    });
    EXPECT(fallback == 0);
    co_await otlpkit::detail::observe(operation{seen}, [] { return nothing({}); });
    EXPECT(seen == -1);
  });
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(std::count_if(spans.begin(), spans.end(), [](const auto& s) { return s.name == "operation"; }) == 3);
}

TEST_CASE("in_span takes the kind of its span") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    co_await otlpkit::in_span("call", {{"n", 1}}, nothing({}), otlpkit::span_kind::client);
    co_await otlpkit::in_span("serve", nothing({}), otlpkit::span_kind::server);
    co_await otlpkit::in_span("plain", nothing({}));
  });
  const auto spans = recording.take();
  CHECK(named(spans, "call").kind == 3);
  CHECK(named(spans, "call").attributes["n"] == 1);
  CHECK(named(spans, "serve").kind == 2);
  CHECK(named(spans, "plain").kind == 1);
}
