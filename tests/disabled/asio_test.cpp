// SPDX-License-Identifier: MIT
#include <otlpkit/asio/asio.hpp>

#include <doctest/doctest.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <stdexcept>
#include <string>

namespace asio = boost::asio;

namespace {

asio::awaitable<int> number(int n) {
  OTLPKIT_SPAN("number", {"n", n});
  co_await asio::post(asio::use_awaitable);
  co_return n;
}

asio::awaitable<void> fails() {
  co_await asio::post(asio::use_awaitable);
  throw std::runtime_error{"no"};
}

asio::awaitable<void> add(int& done) {
  co_await asio::post(asio::use_awaitable);
  ++done;
}

asio::awaitable<void> all_forms(int& done, bool& thrown) {
  const std::string id = "x";
  int sum = co_await otlpkit::in_span("a", {{"id", id}, {"n", 1}}, number(1));
  sum += co_await otlpkit::traced("b", {{"id", id}}, [&](otlpkit::span& s) {
    s.set("id", id);
    return number(2);
  });
  auto [three, none] = co_await otlpkit::when_all(number(3), add(done));
  static_cast<void>(none);
  sum += three;
  sum += std::get<0>(co_await otlpkit::when_any(number(4), fails()));
  sum += co_await otlpkit::branch(number(5));
  otlpkit::spawn_detached("detached", {{"id", id}}, add(done));
  otlpkit::spawn_detached("linked", add(done), otlpkit::detached_relation::linked);
  co_await asio::post(asio::bind_executor(otlpkit::on(co_await asio::this_coro::executor), asio::use_awaitable));
  asio::post(co_await asio::this_coro::executor, otlpkit::bind_context([&done] { ++done; }));
  otlpkit::bind([&done] { ++done; })();
  const auto attached = otlpkit::attach(otlpkit::context::current());
  try {
    co_await otlpkit::when_all(fails(), add(done));
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  if (sum == 15) ++done;
}

}  // namespace

TEST_CASE("with telemetry compiled out coroutines run, are joined, cancelled and detached as before") {
  asio::io_context io;
  int done = 0;
  bool thrown = false;
  otlpkit::co_spawn(io, all_forms(done, thrown), asio::detached);
  otlpkit::spawn_detached(otlpkit::fork(io), "elsewhere", add(done));
  io.run();
  CHECK(thrown);
  CHECK(done >= 7);  // a task that another one's error cancels may have been quicker
  CHECK(done <= 8);
}
