// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/wake_up.hpp>

#include <support/count_allocations.hpp>

#include <boost/asio/executor_work_guard.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

TEST_CASE("asking allocates nothing, and what is asked for twice before it happened happens once") {
  otlpkit::sdk::wake_up wake_up;
  boost::asio::io_context io{1};
  int calls = 0;
  for (int round = 0; round < 100; ++round) {
    const long before = support::allocations;
    wake_up.ask(io, [&] { ++calls; });
    wake_up.ask(io, [&] { ++calls; });
    CHECK(support::allocations == before);
    io.restart();
    io.run();
    CHECK(calls == round + 1);
  }
}

TEST_CASE("a call may ask for the next one") {
  otlpkit::sdk::wake_up wake_up;
  boost::asio::io_context io{1};
  int calls = 0;
  wake_up.ask(io, [&] {
    ++calls;
    wake_up.ask(io, [&] { ++calls; });
  });
  io.run();
  CHECK(calls == 2);
}

TEST_CASE("after what a thread did before it asked, there is always a call that sees it") {
  otlpkit::sdk::wake_up wake_up;
  boost::asio::io_context io{1};
  const auto work = boost::asio::make_work_guard(io);
  std::atomic<int> waiting{0};
  int taken = 0;
  std::thread reader{[&] { io.run(); }};
  constexpr int all = 100'000;
  const auto write = [&] {
    for (int i = 0; i < all; ++i) {
      waiting.fetch_add(1, std::memory_order_relaxed);
      wake_up.ask(io, [&] {
        taken += waiting.exchange(0, std::memory_order_relaxed);
        if (taken == 2 * all) io.stop();
      });
    }
  };
  std::thread first{write}, second{write};
  first.join();
  second.join();
  reader.join();
  CHECK(taken == 2 * all);
}

TEST_CASE("a call that never comes is given up with its io_context") {
  otlpkit::sdk::wake_up wake_up;
  bool called = false;
  {
    boost::asio::io_context io{1};
    wake_up.ask(io, [&] { called = true; });
  }
  CHECK_FALSE(called);
}
