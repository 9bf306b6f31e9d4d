// SPDX-License-Identifier: MIT
// timeout: 600
#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/strand.hpp>

#include <stdexcept>
#include <string_view>

namespace {

using otlpkit::testing::span_record;

awaitable<void> endless(span_context up, std::atomic<int>& ended) {
  const child_of span{up, "endless"};
  try {
    co_await wait_for_ever();
  } catch (const boost::system::system_error&) {
    EXPECT(is_current(span.context()));
    ++ended;
    throw;
  }
}

std::atomic<int> diagnostics{0};
std::string last_diagnostic;  // read when no other thread runs

struct diagnostics_kept {
  diagnostics_kept() {
    diagnostics = 0;
    otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view message) {
      ++diagnostics;
      last_diagnostic = message;
    });
  }
  diagnostics_kept(const diagnostics_kept&) = delete;
  diagnostics_kept& operator=(const diagnostics_kept&) = delete;
  ~diagnostics_kept() { otlpkit::on_diagnostic(nullptr); }
};

}  // namespace

TEST_CASE("when_all returns the results as a tuple, and its tasks are siblings under the current span") {
  support::recording recording;
  support::recording::queue(std::size_t{64} << 20, 100'000);
  asio::io_context io;
  for (int i = 0; i < 100; ++i) {
    otlpkit::co_spawn(
        io,
        []() -> awaitable<void> {
          const child_of span{{}, "all"};
          const span_context up = span.context();
          {
            auto [a, none, b] = co_await otlpkit::when_all(number(up, 1), nothing(up), number(up, 2));
            EXPECT(*a.value == 1 && *b.value == 2);
            static_cast<void>(none);
          }
          EXPECT(is_current(up));
          co_await otlpkit::when_all(nothing(up), nothing(up));
          std::vector<awaitable<move_only>> many;
          for (int k = 0; k < 5; ++k) many.push_back(number(up, k));
          const std::vector<move_only> results = co_await otlpkit::when_all(std::move(many));
          EXPECT(results.size() == 5 && *results[4].value == 4);
          const std::vector<move_only> empty = co_await otlpkit::when_all(std::vector<awaitable<move_only>>{});
          EXPECT(empty.empty() && is_current(up));
        },
        asio::detached);
  }
  run_on(io, 4);
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 1100);
  CHECK(wrong_parents(spans) == 0);
}

TEST_CASE("the first error cancels the other tasks of when_all, and is thrown when they have ended") {
  support::recording recording;
  std::atomic<int> ended{0};
  asio::io_context io;
  for (int i = 0; i < 50; ++i) {
    otlpkit::co_spawn(
        io,
        [&ended]() -> awaitable<void> {
          const child_of span{{}, "all"};
          bool thrown = false;
          try {
            co_await otlpkit::when_all(endless(span.context(), ended), fails(span.context()),
                                       endless(span.context(), ended));
          } catch (const std::runtime_error& e) {
            thrown = std::string_view{e.what()} == "no";
          }
          EXPECT(thrown && is_current(span.context()));
        },
        asio::detached);
  }
  run_on(io, 4);
  CHECK(ended.load() == 100);
  CHECK(counted.wrong.load() == 0);
  CHECK(wrong_parents(recording.take()) == 0);
}

TEST_CASE("what ends while others are still being started decides all the same") {
  constexpr int groups = 1000;
  constexpr int others = 8;
  std::atomic<int> ended{0};
  std::atomic<int> failed{0};
  asio::io_context io;
  const auto fails_at_once = []() -> awaitable<void> {
    throw std::runtime_error{"no"};
    co_return;
  };
  const auto at_once = []() -> awaitable<void> { co_return; };
  const auto cancelled = [&ended]() -> awaitable<void> {
    try {
      co_await wait_for_ever();
    } catch (const boost::system::system_error&) {
      ++ended;
      throw;
    }
  };
  const auto group = [&]() -> awaitable<void> {
    std::vector<awaitable<void>> work;
    work.push_back(fails_at_once());
    for (int i = 0; i < others; ++i) work.push_back(cancelled());
    co_await otlpkit::when_all(std::move(work));
  };
  for (int i = 0; i < groups; ++i) {
    otlpkit::co_spawn(io, group(), [&failed](std::exception_ptr e) { failed += e != nullptr ? 1 : 0; });
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&io] { io.run_for(std::chrono::seconds{60}); });
  for (std::thread& t : threads) t.join();
  CHECK(failed.load() == groups);
  CHECK(ended.load() == groups * others);

  std::size_t winner = 9;
  run_one(
      [&]() -> awaitable<void> { winner = (co_await otlpkit::when_any(at_once(), at_once(), cancelled())).index(); });
  CHECK(winner == 0);
}

TEST_CASE("when_any returns the first success, cancels the others, and throws only if all fail") {
  support::recording recording;
  std::atomic<int> ended{0};
  asio::io_context io;
  for (int i = 0; i < 50; ++i) {
    otlpkit::co_spawn(
        io,
        [&ended]() -> awaitable<void> {
          const child_of span{{}, "any"};
          const span_context up = span.context();
          auto first = co_await otlpkit::when_any(endless(up, ended), number(up, 3), fails(up));
          EXPECT(first.index() == 1 && *std::get<1>(first).value == 3 && is_current(up));
          bool thrown = false;
          try {
            static_cast<void>(co_await otlpkit::when_any(fails(up), fails(up)));
          } catch (const std::runtime_error&) {
            thrown = true;
          }
          EXPECT(thrown && is_current(up));
        },
        asio::detached);
  }
  run_on(io, 4);
  CHECK(ended.load() == 50);
  CHECK(counted.wrong.load() == 0);
  CHECK(wrong_parents(recording.take()) == 0);
}

TEST_CASE("cancelling the caller cancels the tasks it waits for") {
  support::recording recording;
  std::atomic<int> ended{0};
  asio::io_context io;
  std::vector<std::unique_ptr<asio::cancellation_signal>> signals;
  for (int i = 0; i < 50; ++i) {
    const auto strand = asio::make_strand(io);
    signals.push_back(std::make_unique<asio::cancellation_signal>());
    otlpkit::co_spawn(
        strand,
        [&ended]() -> awaitable<void> {
          const child_of span{{}, "all"};
          co_await otlpkit::when_all(endless(span.context(), ended), endless(span.context(), ended));
        },
        asio::bind_cancellation_slot(signals.back()->slot(), asio::detached));
    asio::post(strand, [s = signals.back().get()] { s->emit(asio::cancellation_type::terminal); });
  }
  run_on(io, 4);
  CHECK(ended.load() == 100);
  CHECK(counted.wrong.load() == 0);
  CHECK(wrong_parents(recording.take()) == 0);
}

TEST_CASE("a coroutine that is cancelled at any of its awaits ends its spans under the right parents") {
  support::recording recording;
  constexpr int awaits = 9;
  for (int at = 0; at <= awaits; ++at) {
    asio::io_context io;
    const auto strand = asio::make_strand(io);
    asio::cancellation_signal signal;
    int reached = 0;
    const auto step = [&]() -> awaitable<void> {
      if (reached++ == at) asio::post(strand, [&] { signal.emit(asio::cancellation_type::terminal); });
      if (reached > at) co_await wait_for_ever();
      co_await asio::post(asio::use_awaitable);
    };
    bool aborted = false;
    otlpkit::co_spawn(
        strand,
        [&]() -> awaitable<void> {
          const child_of outer{{}, "outer"};
          for (int i = 0; i < awaits / 3; ++i) {
            const child_of middle{outer.context(), "middle"};
            co_await step();
            EXPECT(is_current(middle.context()));
            {
              const child_of inner{middle.context(), "inner"};
              co_await step();
              EXPECT(is_current(inner.context()));
            }
            EXPECT(is_current(middle.context()));
            co_await step();
          }
        },
        asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { aborted = e != nullptr; }));
    run_on(io, 2);
    CHECK(aborted == (at < awaits));
    const auto spans = recording.take();
    CHECK(wrong_parents(spans) == 0);
    CHECK(named(spans, "outer").is_error() == (at < awaits));
  }
  CHECK(counted.wrong.load() == 0);
}

TEST_CASE("a detached task is a child that outlives its parent, or linked, and its error is on its span") {
  support::recording recording;
  span_context parent;
  bool begun = false;
  run_one([&]() -> awaitable<void> {
    const otlpkit::span_guard span{"parent"};
    parent = span.context();
    otlpkit::spawn_detached("detached", {{"n", 1}}, [](bool& b) -> awaitable<void> {
      b = true;
      co_await pause_up_to(200);
      const otlpkit::span_guard inner{"inside"};
    }(begun));
    EXPECT(!begun);  // not within the call
    EXPECT(is_current(span.context()));
    otlpkit::spawn_detached("linked", nothing({}), otlpkit::detached_relation::linked);
    otlpkit::spawn_detached("failing", fails({}));
    co_return;
  });
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  const span_record& detached = named(spans, "detached");
  CHECK(detached.parent_id == support::hex(parent.span));
  CHECK(detached.attributes["otlpkit.detached"] == true);
  CHECK(detached.attributes["n"] == 1);
  CHECK(detached.end > named(spans, "parent").end);
  CHECK(named(spans, "inside").parent_id == detached.span_id);
  const span_record& linked = named(spans, "linked");
  CHECK(linked.is_root());
  CHECK(linked.trace_id != detached.trace_id);
  REQUIRE(linked.links.size() == 1);
  CHECK(linked.links[0].span_id == support::hex(parent.span));
  const span_record& failing = named(spans, "failing");
  CHECK(failing.is_error());
  REQUIRE(failing.event("exception") != nullptr);
  CHECK(failing.event("exception")->attributes["exception.message"] == "no");
}

TEST_CASE("a detached task needs a place to run, and its error is reported where no span records it") {
  CHECK_THROWS_AS(otlpkit::spawn_detached("nowhere", nothing({})), std::logic_error);
  const diagnostics_kept kept;
  asio::io_context io;
  otlpkit::spawn_detached(io, "unrecorded", []() -> awaitable<void> {
    co_await asio::post(asio::use_awaitable);
    throw std::runtime_error{"out of paper"};
  }());
  run_on(io, 1);
  CHECK(diagnostics.load() == 1);
  CHECK(last_diagnostic.find("unrecorded failed: out of paper") != std::string::npos);
}

TEST_CASE("boost::asio::co_spawn and Asio's && and || on a task's executor start tasks of their own") {
  support::recording recording;
  const diagnostics_kept kept;
  asio::io_context io;
  for (int i = 0; i < 50; ++i) {
    asio::co_spawn(
        otlpkit::fork(asio::make_strand(io)),
        []() -> awaitable<void> {
          using namespace asio::experimental::awaitable_operators;
          const child_of span{{}, "top"};
          const span_context up = span.context();
          const asio::any_io_executor ex = co_await asio::this_coro::executor;
          asio::co_spawn(ex, nothing(up), asio::detached);
          asio::co_spawn(
              ex, [up] { return nothing(up); }, asio::detached);
          asio::co_spawn(
              ex, [up]() -> awaitable<int> { co_return *(co_await number(up, 1)).value; },
              [](std::exception_ptr, int) {});
          EXPECT(is_current(up));
          co_await (nothing(up) && nothing(up));
          EXPECT(is_current(up));
          const auto either = co_await (wait_for_ever() || nothing(up));
          EXPECT(either.index() == 1 && is_current(up));
          co_await (otlpkit::branch(nothing(up)) && otlpkit::branch(nothing(up)));
          EXPECT(is_current(up));
        },
        asio::detached);
  }
  run_on(io, 4);
  CHECK(counted.wrong.load() == 0);
  CHECK(wrong_parents(recording.take()) == 0);
  CHECK(diagnostics.load() == 0);
}

TEST_CASE("two coroutines in one task are reported once, with the way to do it right") {
  support::recording recording;
  const diagnostics_kept kept;
  asio::io_context io;
  for (int i = 0; i < 5; ++i) {
    otlpkit::co_spawn(
        io,
        []() -> awaitable<void> {
          const asio::any_io_executor ex = co_await asio::this_coro::executor;
          const otlpkit::span_guard one{"one"};
          // What boost::asio::co_spawn does in a file that does not include otlpkit/asio/co_spawn.hpp.
          otlpkit::detail::asio_co_spawn(
              ex,
              []() -> awaitable<void> {
                const otlpkit::span_guard other{"other"};
                co_await asio::post(asio::use_awaitable);
                co_await asio::post(asio::use_awaitable);
                co_await asio::post(asio::use_awaitable);
              },
              asio::detached);
          const otlpkit::span_guard two{"two"};
          co_await asio::post(asio::use_awaitable);
          co_await asio::post(asio::use_awaitable);
        },
        asio::detached);
  }
  run_on(io, 1);
  CHECK(diagnostics.load() == 1);
  CHECK(last_diagnostic.find("otlpkit::co_spawn") != std::string::npos);
}

TEST_CASE("coroutines that are no task change threads: every span is there, none is left current, reported once") {
  support::recording recording;
  support::recording::queue(std::size_t{64} << 20, 200'000);
  const diagnostics_kept kept;
  otlpkit::detail::stray_guard_reported.store(false, otlpkit::platform::relaxed);
  constexpr int count = 300;
  asio::io_context io;
  const auto wander = []() -> awaitable<void> {
    OTLPKIT_SPAN("outer", {"n", 1});
    for (int i = 0; i < 5; ++i) {
      co_await asio::post(asio::use_awaitable);
      OTLPKIT_SPAN("inner");
      OTLPKIT_RECORD("i", i);
      co_await pause_up_to(50);
      OTLPKIT_EVENT("resumed", {"i", i});
    }
  };
  for (int i = 0; i < count; ++i) asio::co_spawn(io, wander(), asio::detached);
  for (int i = 0; i < count; ++i) {
    asio::post(io, [] {
      OTLPKIT_SPAN("callback");
      OTLPKIT_RECORD("n", 1);
    });
  }
  run_on(io, 4);
  CHECK_FALSE(otlpkit::current_context().valid());
  CHECK(recording.take().size() == count * 7);
  CHECK(diagnostics.load() == 1);
  CHECK(last_diagnostic.find("otlpkit::co_spawn") != std::string::npos);
}
