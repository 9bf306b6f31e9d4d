// SPDX-License-Identifier: MIT
#include <otlpkit/asio/pool.hpp>
#include <otlpkit/asio/when.hpp>

#include <doctest/doctest.h>

#include "support/run_awaitable.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using support::run;

namespace {

struct connection {
  int number = 0;
  bool broken = false;
  [[nodiscard]] bool usable() const noexcept { return !broken; }
};
using pool = otlpkit::db::async_pool<connection>;

struct factory {
  std::atomic<int>* made;
  bool* fails = nullptr;
  asio::awaitable<connection> operator()() const {
    if (fails != nullptr && *fails) throw std::runtime_error{"no server"};
    co_return connection{++*made};
  }
};

}  // namespace

TEST_CASE("coroutines get connections in the order of asking, and one that broke is replaced") {
  std::atomic<int> made{0};
  pool p{factory{&made}, {.max_size = 1}};
  std::string order;
  run([&]() -> asio::awaitable<void> {
    auto first = co_await p.acquire();
    const auto take = [&](char name) -> asio::awaitable<void> {
      auto c = co_await p.acquire();
      order += name;
      if (name == 'b') c->broken = true;
      if (name == 'c') CHECK(c->number == 3);
    };
    const auto release = [&]() -> asio::awaitable<void> {
      CHECK(p.counts().waiting == 3);
      first.discard();
      co_return;
    };
    co_await otlpkit::when_all(take('a'), take('b'), take('c'), release());
  });
  CHECK(order == "abc");
  CHECK(made == 3);
  CHECK(p.counts().idle == 1);
}

TEST_CASE("a connection that broke while it was idle is replaced") {
  std::atomic<int> made{0};
  pool p{factory{&made}, {.max_size = 1}};
  run([&]() -> asio::awaitable<void> {
    connection* idle = nullptr;
    {
      const auto first = co_await p.acquire();
      idle = &*first;
    }
    CHECK(p.counts().idle == 1);
    idle->broken = true;
    const auto second = co_await p.acquire();
    CHECK(second->number == 2);
    CHECK(p.counts().used == 1);
  });
}

TEST_CASE("a coroutine may wait for ever") {
  std::atomic<int> made{0};
  pool p{factory{&made}, {.max_size = 1}};
  int got = 0;
  run([&]() -> asio::awaitable<void> {
    auto first = co_await p.acquire();
    const auto take = [&]() -> asio::awaitable<void> {
      auto c = co_await p.acquire(std::chrono::nanoseconds::max());
      got = c->number;
    };
    const auto release = [&]() -> asio::awaitable<void> {
      for (int i = 0; i < 100; ++i) co_await asio::post(asio::use_awaitable);  // time enough to give up
      first.discard();
    };
    co_await otlpkit::when_all(take(), release());
  });
  CHECK(got == 2);
}

TEST_CASE("a wait that is too long, or cancelled, leaves nothing behind") {
  std::atomic<int> made{0};
  pool p{factory{&made}, {.name = "small", .max_size = 1, .max_wait = 1ms}};
  run([&]() -> asio::awaitable<void> {
    auto held = co_await p.acquire();
    std::string why;
    try {
      static_cast<void>(co_await p.acquire());
    } catch (const otlpkit::db::pool_timeout_error& e) {
      why = e.what();
    }
    CHECK(why == "small: no connection became free in time (1 in use, 0 more requests waiting)");
    asio::steady_timer soon{co_await asio::this_coro::executor, 1ms};
    const auto first = co_await otlpkit::when_any(p.acquire(1h), soon.async_wait(asio::use_awaitable));
    CHECK(first.index() == 1);
    CHECK(p.counts().waiting == 0);
    CHECK(p.counts().used == 1);
  });
  CHECK(p.counts().idle == 1);
}

TEST_CASE("a coroutine that is destroyed while it waits leaves the queue") {
  std::atomic<int> made{0};
  pool p{factory{&made}, {.max_size = 1}};
  std::optional<otlpkit::db::lease<connection>> held;
  {
    asio::io_context io;
    otlpkit::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          held.emplace(co_await p.acquire());
          static_cast<void>(co_await p.acquire());
        },
        asio::detached);
    while (p.counts().waiting == 0) io.run_one();
  }
  CHECK(p.counts().waiting == 0);
  held.reset();
  CHECK(p.counts().idle == 1);
}

TEST_CASE("what making a connection throws goes to who asked, and the next one may try") {
  std::atomic<int> made{0};
  bool fails = true;
  pool p{factory{&made, &fails}, {.max_size = 1}};
  run([&]() -> asio::awaitable<void> {
    bool failed = false;
    try {
      static_cast<void>(co_await p.acquire());
    } catch (const std::runtime_error&) {
      failed = true;
    }
    CHECK(failed);
    fails = false;
    const auto c = co_await p.acquire();
    CHECK(c->number == 1);
  });
}

TEST_CASE("many coroutines on several threads never hold more connections than there may be") {
  std::atomic<int> made{0}, in_use{0}, most{0}, served{0}, gave_up{0};
  pool p{factory{&made}, {.max_size = 3}};
  asio::thread_pool threads{4};
  std::vector<std::future<void>> all;
  for (int i = 0; i < 64; ++i) {
    all.push_back(otlpkit::co_spawn(
        threads,
        [&, i]() -> asio::awaitable<void> {
          for (int n = 0; n < 50; ++n) {
            try {
              auto c = co_await p.acquire(i % 8 == 0 ? std::chrono::nanoseconds{10us} : 30s);
              const int now = ++in_use;
              for (int before = most; now > before && !most.compare_exchange_weak(before, now);) {
              }
              co_await asio::post(asio::use_awaitable);
              if (n % 20 == 0) c->broken = true;
              ++served;
              --in_use;
            } catch (const otlpkit::rejected_error&) {
              ++gave_up;
            }
          }
        },
        asio::use_future));
  }
  for (auto& one : all) one.get();
  CHECK(served + gave_up == 3'200);
  CHECK(served >= 2'800);
  CHECK(most <= 3);
  CHECK(p.counts().used == 0);
  CHECK(p.counts().waiting == 0);
}
