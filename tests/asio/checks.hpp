// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/asio.hpp>

#include <support/span_recording.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

/// Counts what is checked from many threads, and says where it was wrong.
struct check_counter {
  std::atomic<long> checks{0};
  std::atomic<long> wrong{0};

  void operator()(bool ok, const char* what, int line) {
    checks.fetch_add(1, std::memory_order_relaxed);
    if (ok) return;
    if (wrong.fetch_add(1, std::memory_order_relaxed) < 20) std::fprintf(stderr, "wrong in line %d: %s\n", line, what);
  }
};
inline check_counter counted;
#define EXPECT(...) counted((__VA_ARGS__), #__VA_ARGS__, __LINE__)

namespace asio = boost::asio;
using asio::awaitable;
using otlpkit::span_context;

[[nodiscard]] inline bool is_current(const span_context& c) {
  const span_context& now = otlpkit::current_context();
  return now.span == c.span && now.trace == c.trace;
}

/// A span that says on itself whose child it should be.
struct child_of : otlpkit::span_guard {
  child_of(const span_context& parent, const char* name)
      : otlpkit::span_guard{std::string_view{name}, {{"caller.up", parent.valid() ? support::hex(parent.span) : ""}}} {
    EXPECT(!parent.valid() || context().trace == parent.trace);
    EXPECT(is_current(context()));
  }
};

/// How many of the recorded spans have another parent than they should, or ended outside of their task.
[[nodiscard]] inline long wrong_parents(const std::vector<otlpkit::testing::span_record>& spans) {
  long wrong = 0;
  for (const auto& s : spans) {
    const auto* up = s.attributes.find("caller.up");
    if (up == nullptr) continue;
    if (up->as_string() != s.parent_id || s.attributes.contains("otlpkit.abandoned")) ++wrong;
  }
  return wrong;
}

[[nodiscard]] inline unsigned random_below(unsigned n) {
  static thread_local std::minstd_rand engine{std::random_device{}()};
  return static_cast<unsigned>(engine()) % n;
}

/// Goes on after up to `most` microseconds.
inline awaitable<void> pause_up_to(unsigned most) {
  asio::steady_timer timer{co_await asio::this_coro::executor};
  timer.expires_after(std::chrono::microseconds{random_below(most)});
  co_await timer.async_wait(asio::deferred);
}

inline awaitable<void> sleep_for(std::chrono::milliseconds d) {
  asio::steady_timer timer{co_await asio::this_coro::executor, d};
  co_await timer.async_wait(asio::use_awaitable);
}

/// Never goes on by itself.
inline awaitable<void> wait_for_ever() {
  asio::steady_timer timer{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
  co_await timer.async_wait(asio::use_awaitable);
}

inline void run_on(asio::io_context& io, int threads) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&io] { io.run(); });
  io.run();
  for (std::thread& t : others) t.join();
}

struct move_only {  // neither copied nor default-constructed
  explicit move_only(int v) : value{std::make_unique<int>(v)} {}
  std::unique_ptr<int> value;
};

inline awaitable<move_only> number(span_context up, int n) {
  const child_of span{up, "number"};
  co_await pause_up_to(50);
  EXPECT(is_current(span.context()));
  co_return move_only{n};
}

inline awaitable<void> nothing(span_context up) {
  const child_of span{up, "nothing"};
  co_await pause_up_to(50);
  EXPECT(is_current(span.context()));
}

inline awaitable<void> fails(span_context up) {
  const child_of span{up, "fails"};
  co_await asio::post(asio::use_awaitable);
  throw std::runtime_error{"no"};
}

inline const otlpkit::testing::span_record& named(const std::vector<otlpkit::testing::span_record>& spans,
                                                  std::string_view name) {
  const auto found = std::find_if(spans.begin(), spans.end(), [&](const auto& s) { return s.name == name; });
  if (found == spans.end()) throw std::out_of_range{"no span " + std::string{name}};
  return *found;
}

/// Threads of a pool that post to `io` may still be in it when the work has ended: then `io` must outlive the pool.
template <class F>
void run_one(asio::io_context& io, F work, int threads = 1) {
  std::exception_ptr failure;
  otlpkit::co_spawn(io, std::move(work), [&failure](std::exception_ptr e) { failure = e; });
  io.restart();
  run_on(io, threads);
  if (failure) std::rethrow_exception(failure);
}
template <class F>
void run_one(F work, int threads = 1) {
  asio::io_context io;
  run_one(io, std::move(work), threads);
}
