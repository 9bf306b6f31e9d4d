// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/wake_up.hpp>

#include <boost/asio/executor_work_guard.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

namespace {

std::atomic<int> allocations{0};

}  // namespace

// The sanitizers have an operator new of their own.
#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !HAS_FEATURE(address_sanitizer) && \
    !HAS_FEATURE(thread_sanitizer)
void* operator new(std::size_t size) {
  ++allocations;
  if (void* const p = std::malloc(size != 0 ? size : 1)) return p;
  throw std::bad_alloc{};
}
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // g++ 12 sees the inlined free() and not what it belongs to
#endif
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif

TEST_CASE("asking allocates nothing, and what is asked for twice before it happened happens once") {
  otlpkit::sdk::wake_up wake_up;
  boost::asio::io_context io{1};
  int calls = 0;
  for (int round = 0; round < 100; ++round) {
    const int before = allocations;
    wake_up.ask(io, [&] { ++calls; });
    wake_up.ask(io, [&] { ++calls; });
    CHECK(allocations == before);
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
