// SPDX-License-Identifier: MIT
// What a task begins with, how it may end, and what it leaves behind.
#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include <otlpkit/propagation/baggage_attributes.hpp>
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include <sys/wait.h>
#include <unistd.h>
#include <functional>
#include <set>
#include <stdexcept>

namespace {

using namespace std::chrono_literals;
using otlpkit::testing::span_record;

std::size_t tasks_there_are() {
  std::size_t count = 0;
  otlpkit::detail::global_tasks.for_each([&count](otlpkit::detail::task&) { ++count; });
  return count;
}

/// Calls io.run() until it ends without an exception. \return how many left it
int run_through_exceptions(asio::io_context& io) {
  for (int thrown = 0;; ++thrown) {
    try {
      io.run();
      return thrown;
    } catch (const std::runtime_error&) {
    }
  }
}

template <class T>
struct counting {
  using value_type = T;
  int* count;
  explicit counting(int* c) noexcept : count{c} {}
  template <class U>
  counting(const counting<U>& other) noexcept : count{other.count} {}  // NOLINT(google-explicit-constructor)
  T* allocate(std::size_t n) const {
    ++*count;
    return std::allocator<T>{}.allocate(n);
  }
  void deallocate(T* p, std::size_t n) const { std::allocator<T>{}.deallocate(p, n); }
  template <class U>
  bool operator==(const counting<U>& other) const {
    return count == other.count;
  }
};

}  // namespace

TEST_CASE("an exception that leaves the run loop leaves the thread's own span current, and other tasks go on") {
  support::recording recording;
  const otlpkit::span_guard mine{"mine"};
  asio::io_context io;
  const auto no = [] { throw std::runtime_error{"no"}; };
  for (int i = 0; i < 10; ++i) {
    otlpkit::co_spawn(
        io,
        [up = mine.context()]() -> awaitable<void> {
          const child_of span{up, "works"};
          for (int n = 0; n < 5; ++n) co_await asio::post(asio::use_awaitable);
          EXPECT(is_current(span.context()));
        },
        [no](std::exception_ptr) { no(); });
    otlpkit::co_spawn(io, fails(mine.context()), [](std::exception_ptr e) {
      if (e) std::rethrow_exception(e);
    });
    asio::post(otlpkit::fork(io), [no, up = mine.context()] {
      const child_of span{up, "posted"};
      no();
    });
  }
  CHECK(run_through_exceptions(io) == 30);
  CHECK(is_current(mine.context()));
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 30);
  CHECK(wrong_parents(spans) == 0);
}

TEST_CASE("a function that throws instead of returning an awaitable fails like the awaitable") {
  asio::io_context io;
  bool failed = false;
  otlpkit::co_spawn(
      io, []() -> awaitable<void> { throw std::runtime_error{"no"}; },
      [&failed](std::exception_ptr e) { failed = e != nullptr; });
  io.run();
  CHECK(failed);
}

TEST_CASE("tasks that never ran, failed or were refused are given back: their number does not grow") {
  asio::io_context io;
  const auto play = [&io] {
    static_cast<void>(otlpkit::fork(io));
    {
      const auto ex = otlpkit::fork(asio::any_io_executor{io.get_executor()});
      const asio::any_io_executor kept = otlpkit::fork(ex);
    }
    otlpkit::co_spawn(io, fails({}), [](std::exception_ptr) {});
    otlpkit::spawn_detached(io, "detached", nothing({}));
    try {
      otlpkit::spawn_detached("nowhere", nothing({}));
    } catch (const std::logic_error&) {
    }
    io.restart();
    io.run();
    asio::io_context gone;  // with a coroutine that is suspended, and one that has not begun
    otlpkit::co_spawn(gone, otlpkit::when_all(wait_for_ever(), wait_for_ever()), asio::detached);
    gone.poll();
    otlpkit::co_spawn(gone, wait_for_ever(), asio::detached);
  };
  play();
  const std::size_t before = tasks_there_are();
  for (int i = 0; i < 2000; ++i) play();
  CHECK(tasks_there_are() == before);
}

TEST_CASE(
    "an io_context that is stopped and destroyed under load leaves every span ended, abandoned and where it was") {
  support::recording recording;
  support::recording::queue(std::size_t{64} << 20, 200'000);
  std::atomic<int> begun{0};
  for (int round = 0; round < 5; ++round) {
    const int before = begun.load();
    asio::io_context io;
    for (int i = 0; i < 100; ++i) {
      otlpkit::co_spawn(
          io,
          [&]() -> awaitable<void> {
            const otlpkit::span_guard outer{"outer", {{"caller.up", ""}}};
            ++begun;
            otlpkit::spawn_detached("detached", wait_for_ever());
            co_await otlpkit::when_all(number(outer.context(), 1), otlpkit::in_span("waits", wait_for_ever()),
                                       wait_for_ever());
          },
          asio::detached);
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&io] { io.run(); });
    while (begun.load() < before + 50) std::this_thread::yield();
    io.stop();
    for (std::thread& t : threads) t.join();
  }
  CHECK_FALSE(otlpkit::current_context().valid());
  const auto spans = recording.take();
  std::set<std::string> outer;
  for (const span_record& s : spans) {
    if (s.name == "outer") outer.insert(s.span_id);
  }
  CHECK(outer.size() == static_cast<std::size_t>(begun.load()));
  for (const span_record& s : spans) {
    if (s.name == "outer" || s.name == "waits" || s.name == "detached") {
      CHECK(s.attributes.contains("otlpkit.abandoned"));
      CHECK(s.status == 0);
      CHECK((s.name == "outer" || outer.contains(s.parent_id)));
    }
  }
}

TEST_CASE("work that waits for an operation which drops its handler is abandoned") {
  support::recording recording;
  asio::io_context io;
  const auto dropped = []() -> awaitable<void> {
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>([](auto&&) {}, asio::use_awaitable);
  };
  otlpkit::co_spawn(io, otlpkit::in_span("in_span", dropped()), asio::detached);
  otlpkit::spawn_detached(io, "detached", dropped());
  io.run();
  const auto spans = recording.take();
  CHECK(spans.size() == 2);
  for (const span_record& s : spans) CHECK(s.attributes.contains("otlpkit.abandoned"));
}

TEST_CASE("detached tasks outlive their parents in great number, each under its own") {
  support::recording recording;
  support::recording::queue(std::size_t{64} << 20, 200'000);
  asio::io_context io;
  std::atomic<int> after{0};
  for (int i = 0; i < 500; ++i) {
    auto over = std::make_shared<std::atomic<bool>>(false);
    otlpkit::co_spawn(
        io,
        [&after, over]() -> awaitable<void> {
          const child_of parent{{}, "parent"};
          for (int k = 0; k < 3; ++k) {
            otlpkit::spawn_detached("child", {{"caller.up", support::hex(parent.context().span)}},
                                    [](std::atomic<int>& late, std::shared_ptr<std::atomic<bool>> gone,
                                       span_context trace) -> awaitable<void> {
                                      while (!gone->load()) co_await asio::post(asio::use_awaitable);
                                      const child_of inner{otlpkit::current_context(), "inner"};
                                      EXPECT(inner.context().trace == trace.trace);
                                      co_await pause_up_to(30);
                                      EXPECT(is_current(inner.context()));
                                      ++late;
                                    }(after, over, parent.context()));
          }
          co_return;
        },
        [over](std::exception_ptr) { *over = true; });
  }
  run_on(io, 4);
  CHECK(after.load() == 1500);
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 3500);
  CHECK(wrong_parents(spans) == 0);
}

TEST_CASE("whatever unwinds on the threads a coroutine begins and ends on, its own exceptions are the errors") {
  support::recording recording;
  asio::io_context io;
  const auto while_unwinding = [](const std::function<void()>& fn) {
    struct at_end {
      const std::function<void()>& what;
      ~at_end() { what(); }
    };
    try {
      const at_end call{fn};
      throw std::logic_error{"unwinds"};
    } catch (const std::logic_error&) {
    }
  };
  const auto work = [](bool fail) -> awaitable<void> {
    const otlpkit::span_guard span{fail ? "throws" : "ends well"};
    co_await asio::post(asio::use_awaitable);
    if (fail) throw std::runtime_error{"x"};
  };
  otlpkit::co_spawn(io, work(true), asio::detached);
  while_unwinding([&io] { CHECK(io.poll_one() == 1); });
  std::thread{[&io] { io.poll(); }}.join();
  io.restart();
  otlpkit::co_spawn(io, work(false), asio::detached);
  CHECK(io.poll_one() == 1);
  std::thread{[&] { while_unwinding([&io] { io.poll(); }); }}.join();
  const auto spans = recording.take();
  CHECK(spans.size() == 2);
  CHECK(named(spans, "throws").is_error());
  CHECK_FALSE(named(spans, "ends well").is_error());
}

TEST_CASE("baggage and deadline go with every task, and chosen baggage becomes attributes there") {
  support::recording recording;
  static constexpr otlpkit::baggage_filter wanted{"tenant.*"};
  const auto check = [](int) -> awaitable<void> {
    co_await asio::post(asio::use_awaitable);
    otlpkit::span_guard span{"within"};
    otlpkit::record_baggage(span, wanted);
    EXPECT(otlpkit::current_baggage().get("tenant.id") == "t-1");
    EXPECT(otlpkit::time_left() && *otlpkit::time_left() <= 1h);
    EXPECT(otlpkit::within_deadline(2h) <= 1h);
    {
      const otlpkit::deadline_scope shorter{1min};
      const otlpkit::baggage_scope more{otlpkit::current_baggage().with("tenant.id", "changed")};
      co_await pause_up_to(20);
      EXPECT(*otlpkit::time_left() <= 1min && otlpkit::current_baggage().get("tenant.id") == "changed");
    }
    EXPECT(*otlpkit::time_left() > 1min && otlpkit::current_baggage().get("tenant.id") == "t-1");
  };
  asio::io_context io;
  asio::thread_pool pool{2};
  {
    const otlpkit::baggage_scope baggage{otlpkit::baggage{}.with("tenant.id", "t-1").with("secret", "s")};
    const otlpkit::deadline_scope deadline{1h};
    otlpkit::co_spawn(
        io,
        [&]() -> awaitable<void> {
          co_await check(0);
          co_await otlpkit::when_all(check(1), otlpkit::in_span("in", check(2)), otlpkit::branch(check(3)));
          static_cast<void>(co_await otlpkit::when_any(check(4), wait_for_ever()));
          otlpkit::spawn_detached("child", check(5));
          otlpkit::spawn_detached("linked", check(6), otlpkit::detached_relation::linked);
          co_await otlpkit::co_spawn(pool, check(7), asio::use_awaitable);
          co_await asio::post(asio::bind_executor(otlpkit::on(pool), asio::use_awaitable));
          EXPECT(otlpkit::current_baggage().get("tenant.id") == "t-1");
        },
        asio::detached);
  }
  CHECK(otlpkit::current_baggage().empty());
  run_on(io, 4);
  pool.join();
  CHECK(counted.wrong.load() == 0);
  int within = 0;
  for (const span_record& s : recording.take()) {
    if (s.name != "within") continue;
    ++within;
    CHECK(s.attributes["tenant.id"] == "t-1");
    CHECK_FALSE(s.attributes.contains("secret"));
  }
  CHECK(within == 8);
}

TEST_CASE("what is bound to a handler stays bound, and a handler that throws leaves the thread's own context") {
  support::recording recording;
  asio::io_context io;
  asio::cancellation_signal signal;
  int asked = 0;
  auto handler = [&] {
    const otlpkit::span_guard request{"request"};
    return otlpkit::bind_context(asio::bind_cancellation_slot(
        signal.slot(),
        asio::bind_allocator(counting<char>{&asked}, [up = request.context()](boost::system::error_code e) {
          EXPECT(e == asio::error::operation_aborted && is_current(up));
          throw std::runtime_error{"no"};
        })));
  }();
  CHECK(asio::get_associated_allocator(handler).count == &asked);
  CHECK(asio::get_associated_cancellation_slot(handler).is_connected());
  asio::steady_timer timer{io, asio::steady_timer::time_point::max()};
  timer.async_wait(std::move(handler));
  asio::post(io, [&] { signal.emit(asio::cancellation_type::terminal); });
  const otlpkit::span_guard mine{"mine"};
  CHECK(run_through_exceptions(io) == 1);
  CHECK(asked > 0);
  CHECK(is_current(mine.context()));

  const auto bound = otlpkit::bind(otlpkit::context{}, [](bool fail) {
    EXPECT(!otlpkit::current_context().valid());
    if (fail) throw std::runtime_error{"no"};
    return 1;
  });
  CHECK(bound(false) == 1);
  CHECK_THROWS_AS(bound(true), std::runtime_error);
  CHECK(is_current(mine.context()));
  auto moved = otlpkit::bind([held = std::make_unique<int>(2), here = mine.context()] {
    EXPECT(is_current(here));
    return *held;
  });
  int got = 0;
  std::thread{[&got, moved = std::move(moved)]() mutable { got = moved(); }}.join();
  CHECK(got == 2);
  CHECK(counted.wrong.load() == 0);
}

TEST_CASE("a forked child starts tasks of its own, and spans of the parent's tasks end in the parent alone") {
  support::recording recording;
  asio::io_context io;
  bool in_child = false;
  otlpkit::co_spawn(
      io,
      [&in_child]() -> awaitable<void> {
        const otlpkit::span_guard span{"suspended"};
        co_await asio::post(asio::use_awaitable);
        EXPECT(is_current(span.context()));
        EXPECT(otlpkit::current_span().recording() != in_child);
      },
      asio::detached);
  io.poll_one();  // it is suspended now
  std::atomic<bool> stop{false};
  std::thread others{[&stop] {  // takes and gives back tasks all the while
    asio::io_context place;
    while (!stop.load()) static_cast<void>(otlpkit::fork(place));
  }};
  for (int i = 0; i < 20; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::alarm(20);
      in_child = true;
      io.notify_fork(asio::execution_context::fork_child);
      bool ran = false;
      otlpkit::co_spawn(
          io,
          [&ran]() -> awaitable<void> {
            const otlpkit::span_guard own{"own"};
            co_await asio::post(asio::use_awaitable);
            ran = is_current(own.context());
          },
          asio::detached);
      io.run();
      ::_exit(ran && counted.wrong.load() == 0 && !otlpkit::current_context().valid() ? 0 : 1);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  stop = true;
  others.join();
  io.run();
  CHECK(recording.take_one().name == "suspended");
  CHECK(counted.wrong.load() == 0);
}
