// SPDX-License-Identifier: MIT
// Each public form of otlpkit/asio, awaited where code awaits: in an initialiser, an expression, a condition, an
// argument, a return. g++ 12 refuses some of what other compilers take there, an initializer list above all.
#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include <otlpkit/asio/resilience.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <array>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using otlpkit::testing::span_record;

awaitable<int> value(int n) {
  co_await asio::post(asio::use_awaitable);
  co_return n;
}
awaitable<void> step() { co_await asio::post(asio::use_awaitable); }
awaitable<std::string> text() {
  co_await asio::post(asio::use_awaitable);
  co_return "text";
}
int twice(int n) { return 2 * n; }

}  // namespace

TEST_CASE("in_span takes none to eight fields of any kind, wherever it is awaited") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    const std::string id = "u-1";
    const std::vector<std::int64_t> list{1, 2};
    co_await otlpkit::in_span("f0", step());
    co_await otlpkit::in_span("f1", {{"a", id}}, step());
    co_await otlpkit::in_span("f2", {{"a", 1}, {"b", id + "!"}}, step());
    co_await otlpkit::in_span("f3", {{"a", 1}, {"b", 2.5}, {"c", true}}, step());
    co_await otlpkit::in_span("f4", {{"a", 1}, {"b", 2}, {"c", "c"}, {"d", list}}, step());
    co_await otlpkit::in_span("f5", {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}}, step());
    co_await otlpkit::in_span("f6", {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}, {"f", 6}}, step());
    co_await otlpkit::in_span("f7", {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}, {"f", 6}, {"g", 7}}, step());
    co_await otlpkit::in_span("f8", {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 4}, {"e", 5}, {"f", 6}, {"g", 7}, {"h", id}},
                              step(), otlpkit::span_kind::producer);
    const int initialised = co_await otlpkit::in_span("i", {{"a", id}}, value(1));
    EXPECT(initialised == 1);
    EXPECT((co_await otlpkit::in_span(std::string{"e"}, {{"a", id.size()}}, value(2))) == 2);
    if (co_await otlpkit::in_span("c", {{"a", -1}}, value(0))) EXPECT(false);
    while (co_await otlpkit::in_span("w", {{"a", 1u}}, value(0))) EXPECT(false);
    EXPECT(twice(co_await otlpkit::in_span("p", {{"a", 'x'}}, value(3), otlpkit::span_kind::client)) == 6);
    for (const char c : co_await otlpkit::in_span("r", {{"a", 1}}, text())) EXPECT(c != 'z');
    const auto returned = []() -> awaitable<int> { co_return co_await otlpkit::in_span("x", {{"a", 1}}, value(4)); };
    switch (co_await returned()) {
      case 4: break;
      default: EXPECT(false);
    }
  });
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 16);
  for (int n = 0; n <= 8; ++n) {
    const span_record& s = named(spans, "f" + std::to_string(n));
    for (int k = 0; k < 8; ++k) CHECK(s.attributes.contains(std::string(1, static_cast<char>('a' + k))) == (k < n));
  }
  CHECK(named(spans, "f2").attributes["b"] == "u-1!");
  CHECK(named(spans, "f8").attributes["h"] == "u-1");
}

TEST_CASE("traced takes functions with and without the span, with captures, and what cannot be copied") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    const std::string id = "u-1";
    auto held = std::make_unique<int>(5);
    const int got = co_await otlpkit::traced("t1", {{"a", id}}, [&]() { return value(1); });
    EXPECT(got == 1);
    // With a name: of a lambda written in the co_await expression itself g++ 12 destroys what it holds twice.
    auto work = [held = std::move(held)](otlpkit::span& s) -> awaitable<void> {
      co_await step();
      s.set("held", *held);
    };
    co_await otlpkit::traced("t2", {{"a", 1}, {"b", id + "!"}}, std::move(work));
    if ((co_await otlpkit::traced("t3", [] { return text(); })).empty()) EXPECT(false);
    co_await otlpkit::traced("t4", {}, [](otlpkit::span&) { return step(); });
    co_return co_await otlpkit::traced("t5", {{"a", 1}}, [] { return step(); });
  });
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 5);
  CHECK(named(spans, "t1").attributes["a"] == "u-1");
  CHECK(named(spans, "t2").attributes["held"] == 5);
}

TEST_CASE("spawn_detached takes a name, fields, a relation and a place in every combination") {
  support::recording recording;
  asio::io_context io;
  run_one([&]() -> awaitable<void> {
    const child_of parent{{}, "parent"};
    const auto linked = otlpkit::detached_relation::linked;
    const auto ex = co_await asio::this_coro::executor;
    otlpkit::spawn_detached("1", step());
    otlpkit::spawn_detached("2", {{"a", 1}}, value(2));
    otlpkit::spawn_detached("3", text(), linked);
    otlpkit::spawn_detached("4", {{"a", 1}, {"b", "b"}}, step(), linked);
    otlpkit::spawn_detached(ex, "5", step());
    otlpkit::spawn_detached(ex, "6", {{"a", 1}}, step());
    otlpkit::spawn_detached(io, "7", otlpkit::in_span("inside", {{"a", 1}}, value(7)), linked);
    otlpkit::spawn_detached(asio::make_strand(io), std::string{"8"}, {{"a", 1}, {"b", "b"}}, step(), linked);
    otlpkit::spawn_detached(io.get_executor(), "9", {{"a", 1}}, step());
  });
  io.run();
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(spans.size() == 11);
  const span_record& parent = named(spans, "parent");
  for (int n = 1; n <= 9; ++n) {
    const span_record& s = named(spans, std::to_string(n));
    const bool linked = n == 3 || n == 4 || n == 7 || n == 8;
    CHECK(s.parent_id == (linked ? "" : parent.span_id));
    CHECK(s.links.size() == (linked ? 1 : 0));
    CHECK(s.attributes.contains("a") == (n != 1 && n != 3 && n != 5 && n != 7));
  }
}

TEST_CASE("when_all and when_any take values, void, vectors and what cannot be copied, and may be nested") {
  support::recording recording;
  run_one([]() -> awaitable<void> {
    const child_of span{{}, "top"};
    const span_context up = span.context();
    auto [a, none, b] = co_await otlpkit::when_all(value(1), nothing(up), number(up, 2));
    static_assert(std::is_same_v<decltype(none), std::monostate>);
    EXPECT(a == 1 && *b.value == 2);
    co_await otlpkit::when_all(nothing(up));
    co_await otlpkit::when_all(nothing(up), step(), nothing(up));
    EXPECT(std::get<0>(co_await otlpkit::when_all(value(3))) == 3);
    std::vector<awaitable<void>> voids;
    for (int i = 0; i < 3; ++i) voids.push_back(nothing(up));
    co_await otlpkit::when_all(std::move(voids));
    std::vector<awaitable<move_only>> numbers;
    for (int i = 0; i < 3; ++i) numbers.push_back(number(up, i));
    EXPECT((co_await otlpkit::when_all(std::move(numbers))).size() == 3);
    if ((co_await otlpkit::when_any(value(4), wait_for_ever())).index() != 0) EXPECT(false);
    const auto any = co_await otlpkit::when_any(wait_for_ever(), step());
    EXPECT(any.index() == 1 && std::get<1>(any) == std::monostate{});
    const auto [x, inner] =
        co_await otlpkit::when_all(otlpkit::in_span("named", {{"branch", 1}}, value(5)),
                                   otlpkit::when_all(value(6), otlpkit::in_span("deep", {{"branch", 2}}, value(7))));
    EXPECT(x == 5 && std::get<1>(inner) == 7);
    using namespace asio::experimental::awaitable_operators;
    const auto [m, n] =
        co_await (otlpkit::branch(otlpkit::in_span("m", {{"branch", 3}}, value(8))) && otlpkit::branch(value(9)));
    EXPECT(m == 8 && n == 9);
    const auto either = co_await (otlpkit::branch(wait_for_ever()) || otlpkit::branch(value(10)));
    EXPECT(std::get<1>(either) == 10);
    EXPECT(is_current(up));
  });
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(wrong_parents(spans) == 0);
  for (const char* name : {"named", "deep", "m"}) CHECK(named(spans, name).parent_id == named(spans, "top").span_id);
}

TEST_CASE("co_spawn takes awaitables and functions, any place, and every way to hear of the end") {
  support::recording recording;
  asio::io_context io;
  asio::thread_pool pool{2};
  const otlpkit::span_guard root{"root"};
  const span_context up = root.context();
  int called = 0;
  otlpkit::co_spawn(io, nothing(up), asio::detached);
  otlpkit::co_spawn(
      io.get_executor(), [up] { return nothing(up); }, asio::detached);
  otlpkit::co_spawn(asio::make_strand(io), value(1),
                    [&](std::exception_ptr e, int n) { called += e == nullptr ? n : 100; });
  otlpkit::co_spawn(asio::any_io_executor{io.get_executor()}, step(), [&](std::exception_ptr) { ++called; });
  otlpkit::co_spawn(otlpkit::fork(io), step(), otlpkit::bind_context([&, up](std::exception_ptr) {
                      const child_of callback{up, "callback"};
                      ++called;
                    }));
  auto work = otlpkit::co_spawn(io, value(1), asio::deferred);  // begins when it is called
  std::move(work)([&](std::exception_ptr, int n) { called += n; });
  std::future<int> from_io = otlpkit::co_spawn(io, value(7), asio::use_future);
  std::future<std::string> from_pool = otlpkit::co_spawn(pool, text(), asio::use_future);
  asio::cancellation_signal signal;
  bool cancelled = false;
  const auto serial = asio::make_strand(io);  // a cancellation must not meet the coroutine at work
  otlpkit::co_spawn(serial, wait_for_ever(), asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
                      cancelled = e != nullptr;
                    }));
  asio::post(serial, [&] { signal.emit(asio::cancellation_type::terminal); });
  otlpkit::co_spawn(
      io,
      [&]() -> awaitable<void> {
        const child_of span{up, "span"};
        const auto ex = co_await asio::this_coro::executor;
        EXPECT(co_await otlpkit::co_spawn(ex, value(2), asio::use_awaitable) == 2);
        co_await otlpkit::co_spawn(pool, step(), asio::deferred);
        const auto [e, n] = co_await otlpkit::co_spawn(ex, value(4), asio::as_tuple(asio::use_awaitable));
        EXPECT(e == nullptr && n == 4);
        const auto [failure] = co_await otlpkit::co_spawn(ex, fails(span.context()), asio::as_tuple(asio::deferred));
        EXPECT(failure != nullptr);
        const int there = co_await otlpkit::co_spawn(pool, otlpkit::in_span("there", {{"a", 1}}, value(5)),
                                                     asio::bind_executor(otlpkit::on(pool), asio::use_awaitable));
        EXPECT(there == 5 && pool.get_executor().running_in_this_thread());
        co_await otlpkit::co_spawn(asio::make_strand(pool), step(), asio::use_awaitable);
        boost::system::error_code ec;
        co_await asio::post(asio::bind_executor(otlpkit::on(asio::make_strand(pool)), asio::use_awaitable));
        asio::steady_timer timer{pool, 1us};
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ec));
        EXPECT(!ec && is_current(span.context()));
      },
      [&](std::exception_ptr e) { CHECK(e == nullptr); });
  run_on(io, 2);
  CHECK(from_io.get() == 7);
  CHECK(from_pool.get() == "text");
  pool.join();
  CHECK(called == 4);
  CHECK(cancelled);
  CHECK(counted.wrong.load() == 0);
  const auto spans = recording.take();
  CHECK(wrong_parents(spans) == 0);
  CHECK(named(spans, "there").parent_id == named(spans, "span").span_id);
}

TEST_CASE("awaitables over a traced executor of one's own take every form") {
  using executor = otlpkit::traced_executor<asio::io_context::executor_type>;
  using typed = awaitable<int, executor>;
  support::recording recording;
  asio::io_context io;
  bool done = false;
  const auto one = [](int n) -> typed {
    co_await asio::post(asio::use_awaitable_t<executor>{});
    co_return n;
  };
  otlpkit::co_spawn(
      io,
      [&]() -> awaitable<void, executor> {
        const otlpkit::span_guard span{"typed"};
        const int a = co_await otlpkit::in_span("in", {{"a", 1}}, one(1));
        const int b = co_await otlpkit::traced("tr", {{"a", 1}}, [&] { return one(2); });
        const auto [c, d] = co_await otlpkit::when_all(one(3), one(4));
        const auto e = co_await otlpkit::when_any(one(5), one(6));
        const int f = co_await otlpkit::branch(one(7));
        otlpkit::spawn_detached(co_await asio::this_coro::executor, "det", {{"a", 1}}, one(8));
        done = a + b + c + d + f == 17 && (e.index() == 0 || e.index() == 1) && is_current(span.context());
      },
      [](std::exception_ptr e) { CHECK(e == nullptr); });
  io.run();
  CHECK(done);
  const auto spans = recording.take();
  CHECK(spans.size() == 4);
  for (const char* name : {"in", "tr", "det"}) CHECK(named(spans, name).parent_id == named(spans, "typed").span_id);
}

TEST_CASE("every strategy awaits a call, with a name, with an error code and through a pipeline") {
  support::recording recording;
  const otlpkit::retry_policy retry{{.max_retry_attempts = 1, .delay = 0ms}};
  const otlpkit::circuit_breaker breaker;
  const otlpkit::timeout timeout{{.limit = 10s}};
  const otlpkit::rate_limiter limiter{{.permits_per_second = 1'000'000}};
  const otlpkit::bulkhead bulkhead{{.max_concurrent_calls = 4}};
  run_one([&]() -> awaitable<void> {
    const std::string id = "u-1";
    const auto call = [&] { return otlpkit::in_span("call", {{"user_id", id}}, value(1)); };
    EXPECT(co_await otlpkit::retry(retry, "retry", call) == 1);
    EXPECT(co_await retry.execute("retry", call) == 1);
    EXPECT(co_await breaker.execute(call) == 1);
    EXPECT(co_await timeout.execute("timeout", call) == 1);
    EXPECT(co_await limiter.execute(call) == 1);
    EXPECT(co_await bulkhead.execute("bulkhead", call) == 1);
    std::error_code rejected;
    EXPECT(co_await breaker.execute("breaker", rejected, call) == 1);
    const otlpkit::pipeline all{"all", timeout, retry, breaker, limiter, bulkhead};
    if (co_await all.execute("all", call) != 1) EXPECT(false);
    const auto [a, b] = co_await otlpkit::when_all(all.execute("left", call), retry.execute("right", call));
    EXPECT(a + b == 2 && !rejected);
    co_await otlpkit::in_span("outer", {{"user_id", id}, {"n", 1}}, all.execute("inner", [] { return step(); }));
  });
  CHECK(counted.wrong.load() == 0);
  for (const span_record& s : recording.take()) {
    if (s.name == "call") CHECK(s.attributes["user_id"] == "u-1");
  }
}
