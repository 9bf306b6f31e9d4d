// SPDX-License-Identifier: MIT
// timeout: 600
#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>

#include <stdexcept>

namespace {

using local = asio::local::stream_protocol;
constexpr int rounds = 6;

struct big_recording : support::recording {
  big_recording() { queue(std::size_t{512} << 20, 2'000'000); }
};

awaitable<int> leaf(span_context up) {
  const child_of span{up, "leaf"};
  co_await pause_up_to(60);
  EXPECT(is_current(span.context()));
  co_return 1;
}

awaitable<void> timers(span_context up) {
  const child_of span{up, "timers"};
  for (int i = 0; i < rounds; ++i) {
    co_await pause_up_to(100);
    EXPECT(is_current(span.context()));
    const child_of inner{span.context(), "inner"};
    static_cast<void>(co_await leaf(inner.context()));
    EXPECT(is_current(inner.context()));
  }
  EXPECT(is_current(span.context()));
}

awaitable<void> echo(local::socket socket) {
  const child_of span{{}, "echo"};
  char c = 0;
  for (int i = 0; i < rounds; ++i) {
    co_await asio::async_read(socket, asio::buffer(&c, 1), asio::use_awaitable);
    EXPECT(is_current(span.context()));
    const child_of answer{span.context(), "answer"};
    co_await asio::async_write(socket, asio::buffer(&c, 1), asio::deferred);
    EXPECT(is_current(answer.context()));
  }
}

awaitable<void> ask(local::socket socket, span_context up) {
  const child_of span{up, "ask"};
  for (int i = 0; i < rounds; ++i) {
    const child_of request{span.context(), "request"};
    char c = 'x';
    co_await asio::async_write(socket, asio::buffer(&c, 1), asio::use_awaitable);
    EXPECT(is_current(request.context()));
    co_await asio::async_read(socket, asio::buffer(&c, 1), asio::deferred);
    EXPECT(is_current(request.context()));
  }
  EXPECT(is_current(span.context()));
}

awaitable<void> hop(span_context up, asio::thread_pool& pool) {
  const child_of span{up, "hop"};
  for (int i = 0; i < rounds; ++i) {
    {
      const child_of inner{span.context(), "inner"};
      co_await asio::post(asio::bind_executor(otlpkit::on(pool), asio::use_awaitable));
      EXPECT(is_current(inner.context()));
      EXPECT(pool.get_executor().running_in_this_thread());
      const child_of there{inner.context(), "there"};
      EXPECT(is_current(there.context()));
    }
    EXPECT(is_current(span.context()));
    co_await asio::post(asio::use_awaitable);
    EXPECT(!pool.get_executor().running_in_this_thread());
    EXPECT(is_current(span.context()));
  }
}

}  // namespace

TEST_CASE("1,000 coroutines with random timers, sockets and pools on 4 threads find their own span after every await") {
  big_recording recording;
  const long before = counted.checks.load();
  {
    const otlpkit::span_guard root{"root"};
    asio::io_context io;
    for (int i = 0; i < 1000; ++i) otlpkit::co_spawn(io, timers(root.context()), asio::detached);
    run_on(io, 4);
    CHECK(is_current(root.context()));
  }
  for (const bool bare : {false, true}) {  // sockets of the task's executor, and of the io_context's own
    const otlpkit::span_guard root{"root"};
    asio::io_context io;
    for (int i = 0; i < 500; ++i) {
      const auto ex =
          bare ? asio::any_io_executor{io.get_executor()} : otlpkit::fork(asio::any_io_executor{io.get_executor()});
      local::socket a{ex};
      local::socket b{ex};
      asio::local::connect_pair(a, b);
      otlpkit::co_spawn(ex, ask(std::move(a), root.context()), asio::detached);
      const otlpkit::context_scope nothing = otlpkit::attach({});
      otlpkit::co_spawn(ex, echo(std::move(b)), asio::detached);
    }
    run_on(io, 4);
  }
  {
    const otlpkit::span_guard root{"root"};
    asio::io_context io;
    asio::thread_pool pool{2};
    for (int i = 0; i < 1000; ++i) otlpkit::co_spawn(io, hop(root.context(), pool), asio::detached);
    run_on(io, 2);
    pool.join();
  }
  CHECK(counted.checks.load() - before >= 100'000);
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 40'004);
  CHECK(wrong_parents(spans) == 0);
}

TEST_CASE("the current span follows on strands, thread pools and any executor of a type unknown to otlpkit") {
  big_recording recording;
  const otlpkit::span_guard root{"root"};
  {
    asio::io_context io;
    const asio::strand<asio::any_io_executor> unknown = asio::make_strand(asio::any_io_executor{io.get_executor()});
    for (int i = 0; i < 100; ++i) {
      otlpkit::co_spawn(asio::make_strand(io), timers(root.context()), asio::detached);
      otlpkit::co_spawn(asio::any_io_executor{asio::make_strand(io)}, timers(root.context()), asio::detached);
      otlpkit::co_spawn(unknown, timers(root.context()), asio::detached);
      otlpkit::co_spawn(asio::any_io_executor{unknown}, timers(root.context()), asio::detached);
    }
    run_on(io, 4);
  }
  {
    asio::thread_pool pool{4};
    for (int i = 0; i < 100; ++i) otlpkit::co_spawn(pool, timers(root.context()), asio::detached);
    pool.join();
  }
  CHECK(counted.wrong.load() == 0);
  CHECK(wrong_parents(recording.take()) == 0);
}

TEST_CASE("inline completions, re-entrant dispatch and coroutines started inline keep apart") {
  support::recording recording;
  asio::io_context io;
  otlpkit::co_spawn(
      io,
      []() -> awaitable<void> {
        const child_of span{{}, "outer"};
        const asio::any_io_executor ex = co_await asio::this_coro::executor;
        for (int i = 0; i < 20; ++i) {
          const child_of inner{span.context(), "inner"};
          co_await asio::dispatch(asio::use_awaitable);
          EXPECT(is_current(inner.context()));
          co_await asio::dispatch(asio::deferred);
          EXPECT(is_current(inner.context()));
          bool ran = false;
          otlpkit::co_spawn(
              ex,
              [&ran, up = inner.context()]() -> awaitable<void> {
                const child_of there{up, "inline"};
                ran = true;
                co_await asio::post(asio::deferred);
                EXPECT(is_current(there.context()));
              },
              asio::detached);
          EXPECT(ran);
          EXPECT(is_current(inner.context()));
          asio::dispatch(ex, [&] { EXPECT(is_current(inner.context())); });
          co_await asio::post(asio::use_awaitable);
          EXPECT(is_current(inner.context()));
        }
      },
      asio::detached);
  run_on(io, 1);
  CHECK(counted.wrong.load() == 0);
  CHECK(wrong_parents(recording.take()) == 0);
  CHECK_FALSE(otlpkit::current_context().valid());
}

TEST_CASE("every kind of completion token and default tokens resume under the current span") {
  support::recording recording;
  asio::io_context io;
  using timer = asio::use_awaitable_t<>::as_default_on_t<asio::steady_timer>;
  otlpkit::co_spawn(
      io,
      []() -> awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        const child_of span{{}, "tokens"};
        timer t{co_await asio::this_coro::executor, std::chrono::microseconds{5}};
        co_await t.async_wait();
        EXPECT(is_current(span.context()));
        auto [tupled] = co_await t.async_wait(asio::as_tuple(asio::use_awaitable));
        EXPECT(!tupled && is_current(span.context()));
        boost::system::error_code e;
        co_await t.async_wait(asio::redirect_error(asio::use_awaitable, e));
        EXPECT(!e && is_current(span.context()));
        const auto either = co_await (wait_for_ever() || pause_up_to(50));  // a timeout
        EXPECT(either.index() == 1 && is_current(span.context()));
        const std::size_t sum = co_await otlpkit::co_spawn(
            co_await asio::this_coro::executor, []() -> awaitable<std::size_t> { co_return 7; }, asio::use_awaitable);
        EXPECT(sum == 7 && is_current(span.context()));
      },
      asio::detached);
  run_on(io, 1);
  CHECK(counted.wrong.load() == 0);
  CHECK(recording.take().size() == 1);
}

TEST_CASE("a traced executor is the executor it wraps, in two words") {
  asio::io_context io;
  const auto ex = otlpkit::fork(io);
  static_assert(sizeof ex == 2 * sizeof(void*));
  static_assert(asio::execution::is_executor<std::remove_const_t<decltype(ex)>>::value);
  const asio::any_io_executor any = ex;
  CHECK(&asio::query(any, asio::execution::context) == &io);
  CHECK(any == asio::any_io_executor{ex});
  CHECK(any != asio::any_io_executor{otlpkit::fork(io)});
  const auto never = asio::require(any, asio::execution::blocking.never);
  CHECK(asio::prefer(never, asio::execution::blocking.possibly) == any);
  CHECK(ex.inner() == io.get_executor());
  const asio::any_io_executor again = otlpkit::fork(any);
  CHECK(again.target<std::remove_const_t<decltype(ex)>>() != nullptr);  // the task is replaced, not wrapped

  bool ran = false;
  asio::post(never, [&ran] { ran = true; });
  CHECK_FALSE(ran);
  run_on(io, 1);
  CHECK(ran);
}

TEST_CASE("an executor that outlives its task goes on as the executor it wraps") {
  support::recording recording;
  asio::io_context io;
  asio::any_io_executor kept;
  otlpkit::co_spawn(
      io,
      [&kept]() -> awaitable<void> {
        const child_of span{{}, "short"};
        kept = co_await asio::this_coro::executor;
      },
      asio::detached);
  run_on(io, 1);
  io.restart();
  for (int i = 0; i < 300; ++i) static_cast<void>(otlpkit::fork(io));  // its memory has other users since
  const otlpkit::span_guard root{"root"};
  otlpkit::co_spawn(io, timers(root.context()), asio::detached);
  bool ran = false;
  asio::post(kept, [&] {
    ran = true;
    EXPECT(is_current(root.context()));  // the thread's own
  });
  run_on(io, 1);
  CHECK(ran);
  CHECK(counted.wrong.load() == 0);
  CHECK(wrong_parents(recording.take()) == 0);
}
