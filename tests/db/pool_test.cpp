// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/db/pool.hpp>

#include <doctest/doctest.h>

#include "db/recording.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <latch>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::db::lease;
using otlpkit::db::pool;
using otlpkit::db::pool_options;

namespace {

struct connection {
  int number = 0;
  bool broken = false;
  [[nodiscard]] bool usable() const noexcept { return !broken; }
};

struct factory {
  int* made;
  bool* fails = nullptr;
  connection operator()() const {
    if (fails != nullptr && *fails) throw std::runtime_error{"no server"};
    return {++*made};
  }
};

using core = otlpkit::db::detail::pool_core<connection>;
using answer = core::answer;
struct request final : core::waiter {
  void granted() noexcept override {}
};

}  // namespace

TEST_CASE("a connection that was given back is used again, the last one first") {
  int made = 0;
  pool p{factory{&made}, {.name = "x", .max_size = 2}};
  {
    auto a = p.acquire();
    auto b = p.acquire();
    CHECK(a->number == 1);
    CHECK(b->number == 2);
    CHECK(p.counts().used == 2);
    CHECK_FALSE(p.try_acquire().has_value());
  }
  CHECK(p.counts().idle == 2);
  CHECK(p.acquire()->number == 1);  // b went first, then a
  CHECK(made == 2);
}

TEST_CASE("a connection that broke is not used again, whether it broke in use or while idle") {
  int made = 0;
  pool p{factory{&made}, {.max_size = 1}};
  p.acquire()->broken = true;
  CHECK(p.counts().idle == 0);
  connection* idle = nullptr;
  {
    auto second = p.acquire();
    CHECK(second->number == 2);
    idle = &*second;
  }
  idle->broken = true;
  auto third = p.acquire();
  CHECK(third->number == 3);
  third.discard();
  CHECK(p.counts().used == 0);
  CHECK(p.acquire()->number == 4);
}

TEST_CASE("a connection that was idle for long is asked first, and an exception means no") {
  int made = 0;
  int asked = 0;
  otlpkit::db::health_check<connection> check{[&](connection& c) -> bool {
                                                ++asked;
                                                if (c.number == 2) throw std::runtime_error{"no answer"};
                                                return c.number != 1;
                                              },
                                              0ns};
  pool<connection> p{factory{&made}, {.max_size = 1}, check};
  CHECK(p.acquire()->number == 1);
  CHECK(p.acquire()->number == 2);
  CHECK(p.acquire()->number == 3);
  CHECK(p.acquire()->number == 3);
  CHECK(asked == 3);
  check.idle_longer_than = 1h;
  pool<connection> patient{factory{&made}, {.max_size = 1}, check};
  CHECK(patient.acquire()->number == 4);
  CHECK(patient.acquire()->number == 4);
  CHECK(asked == 3);
}

TEST_CASE("what making a connection throws goes to the caller and the place is free again") {
  int made = 0;
  bool fails = true;
  pool p{factory{&made, &fails}, {.max_size = 1}};
  CHECK_THROWS_AS(static_cast<void>(p.acquire()), std::runtime_error);
  fails = false;
  CHECK(p.acquire()->number == 1);
}

TEST_CASE("who waits too long gets an error of the rejected family, and the pool counts it") {
  recording out;
  int made = 0;
  pool p{factory{&made}, {.name = "small", .max_size = 1, .max_idle = 4, .max_wait = 1ms}};
  {
    const auto held = p.acquire();
    {
      otlpkit::span_guard caller{"caller"};
      try {
        static_cast<void>(p.acquire());
        FAIL("there was a second connection");
      } catch (const otlpkit::rejected_error& e) {
        CHECK(e.reason() == otlpkit::rejection::timed_out);
        CHECK(e.strategy() == "small");
        CHECK(std::string_view{e.what()} ==
              "small: no connection became free in time (1 in use, 0 more requests waiting)");
      }
    }
    const auto by_state = metric_points::by(out.metric("db.client.connection.count"), "db.client.connection.state");
    CHECK(by_state.at("used").integer == 1);
    CHECK(by_state.at("idle").integer == 0);
  }
  CHECK(otlpkit::testing::only(out.take(), "caller").events.at(0).name == "otlpkit.db.pool.timeout");
  CHECK(out.metric("db.client.connection.timeouts").points.at(0).integer == 1);
  CHECK(out.metric("db.client.connection.max").points.at(0).integer == 1);
  CHECK(out.metric("db.client.connection.idle.max").points.at(0).integer == 1);
  CHECK(out.metric("db.client.connection.idle.min").points.at(0).integer == 0);
  CHECK(out.metric("db.client.connection.pending_requests").points.at(0).integer == 0);
  CHECK(out.metric("db.client.connection.create_time").points.at(0).count == 1);
  CHECK(out.metric("db.client.connection.wait_time").points.at(0).count == 1);
  CHECK(out.metric("db.client.connection.use_time").points.at(0).count == 1);
  CHECK(out.metric("db.client.connection.use_time").points.at(0).labels.at("db.client.connection.pool.name") ==
        "small");
}

TEST_CASE("one may wait for ever") {
  const auto now = std::chrono::steady_clock::now();
  CHECK(core::end_of_wait(now, std::chrono::nanoseconds::max()) > now + 24h);
  CHECK(core::end_of_wait(now, 5s) == now + 5s);
  int made = 0;
  pool p{factory{&made}, {.max_size = 1}};
  std::optional held{p.acquire()};
  std::atomic<int> got{0};
  std::thread waiting{[&] {
    try {
      got = p.acquire(std::chrono::nanoseconds::max())->number;
    } catch (const otlpkit::rejected_error&) {
      got = -1;
    }
  }};
  while (p.counts().waiting == 0 && got == 0) std::this_thread::yield();
  held.reset();
  waiting.join();
  CHECK(got == 1);
}

TEST_CASE("a pool of no connections is refused") {
  int made = 0;
  CHECK_THROWS_WITH_AS((pool{factory{&made}, {.name = "x", .max_size = 0}}),
                       "pool_options.max_size of \"x\" is 0: expected 1 or more", std::invalid_argument);
}

TEST_CASE("a lease may outlive its pool, and be assigned to") {
  int made = 0;
  std::optional<pool<connection>> p{std::in_place, factory{&made}, pool_options{.max_size = 2}};
  auto a = p->acquire();
  a = p->acquire();
  CHECK(a->number == 2);
  CHECK(p->counts().idle == 1);
  p.reset();
  CHECK(a->number == 2);
}

TEST_CASE("connections older than their life time, or idle for too long, are closed") {
  const core::time_point start{};
  core c{{.max_size = 3, .min_idle = 1, .max_lifetime = 100s, .max_idle_time = 10s}};
  core::slot a, b, s;
  CHECK(c.take(a, nullptr, start) == answer::make_one);
  CHECK(c.take(b, nullptr, start) == answer::make_one);
  a.connection = std::make_unique<connection>(connection{1});
  b.connection = std::make_unique<connection>(connection{2});
  a.created = b.created = start;
  CHECK(c.give_back(std::move(a), start).connection == nullptr);
  CHECK(c.give_back(std::move(b), start + 5s).connection == nullptr);
  CHECK(c.take(s, nullptr, start + 10s) == answer::close_this);  // idle since the start
  CHECK(s.connection->number == 1);
  CHECK(c.take(s, nullptr, start + 20s) == answer::connection);  // min_idle keeps the last one
  CHECK(s.connection->number == 2);
  CHECK(c.give_back(std::move(s), start + 99s).connection == nullptr);
  CHECK(c.take(s, nullptr, start + 100s) == answer::close_this);
  CHECK(c.take(s, nullptr, start + 100s) == answer::make_one);
  s.connection = std::make_unique<connection>();
  s.created = start + 100s;
  CHECK(c.give_back(std::move(s), start + 200s).connection != nullptr);
  CHECK(c.counts().used + c.counts().idle == 0);
}

TEST_CASE("requests are served in the order they came, newcomers do not overtake, and who leaves is passed over") {
  const core::time_point now{};
  core c{{.max_size = 1}};
  core::slot s;
  request first, second, third;
  CHECK(c.take(s, nullptr, now) == answer::make_one);
  CHECK(c.take(first.got, &first, now) == answer::wait);
  CHECK(c.take(second.got, &second, now) == answer::wait);
  CHECK(c.take(third.got, &third, now) == answer::wait);
  CHECK(c.leave(second));
  s.connection = std::make_unique<connection>(connection{7});
  static_cast<void>(c.give_back(std::move(s), now));
  CHECK(first.done);
  CHECK_FALSE(third.done);
  CHECK_FALSE(c.leave(first));
  static_cast<void>(c.give_back({}, now));  // it could not be made again: the right to try goes on
  CHECK(third.done);
  CHECK(third.got.connection == nullptr);
  CHECK(c.counts().waiting == 0);
  CHECK(c.counts().used == 1);
}

TEST_CASE("random use of a pool agrees with a simple account of it") {
  std::mt19937 random{5};
  for (int round = 0; round < 300; ++round) {
    const std::size_t max = 1 + random() % 4, max_idle = random() % 5;
    core c{{.max_size = max, .max_idle = max_idle, .max_lifetime = 0s, .max_idle_time = 0s}};
    std::size_t held = 0, idle = 0, idle_most = std::min(max, max_idle);
    std::deque<std::unique_ptr<request>> waiting;
    for (int step = 0; step < 100; ++step) {
      core::slot s;
      switch (random() % 4) {
        case 0:
        case 1: {
          auto r = std::make_unique<request>();
          const answer got = c.take(s, r.get(), {});
          if (waiting.empty() && idle > 0) {
            REQUIRE(got == answer::connection);
            --idle, ++held;
          } else if (waiting.empty() && held + idle < max) {
            REQUIRE(got == answer::make_one);
            ++held;
          } else {
            REQUIRE(got == answer::wait);
            waiting.push_back(std::move(r));
          }
          break;
        }
        case 2: {
          if (held == 0) break;
          const bool alive = random() % 3 != 0;
          if (alive) s.connection = std::make_unique<connection>();
          const bool closed = c.give_back(std::move(s), {}).connection != nullptr;
          if (!waiting.empty()) {
            REQUIRE(waiting.front()->done);
            REQUIRE((waiting.front()->got.connection != nullptr) == alive);
            waiting.pop_front();
          } else {
            --held;
            if (alive && idle < idle_most) {
              ++idle;
            } else {
              REQUIRE(closed == alive);
            }
          }
          break;
        }
        default:
          if (waiting.empty()) break;
          const auto i = static_cast<std::ptrdiff_t>(random() % waiting.size());
          REQUIRE(c.leave(*waiting[static_cast<std::size_t>(i)]));
          waiting.erase(waiting.begin() + i);
      }
      const auto counts = c.counts();
      REQUIRE(counts.used == held);
      REQUIRE(counts.idle == idle);
      REQUIRE(counts.waiting == waiting.size());
    }
    for (auto& w : waiting) static_cast<void>(c.leave(*w));
  }
}

TEST_CASE("many threads share a few connections, none is used by two, and some give up") {
  std::atomic<int> made{0}, in_use{0}, served{0}, gave_up{0};
  struct guarded {
    std::unique_ptr<std::atomic<bool>> taken = std::make_unique<std::atomic<bool>>(false);
    bool broken = false;
    [[nodiscard]] bool usable() const noexcept { return !broken; }
  };
  pool p{[&] {
           ++made;
           return guarded{};
         },
         {.max_size = 3, .max_wait = 10s}};
  std::vector<std::thread> threads;
  std::latch start{8};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      start.arrive_and_wait();
      for (int i = 0; i < 500; ++i) {
        try {
          auto c = p.acquire(t == 0 ? std::chrono::nanoseconds{1us} : 10s);
          CHECK(!c->taken->exchange(true));
          CHECK(++in_use <= 3);
          ++served;
          --in_use;
          c->taken->store(false);
          if (i % 50 == 0) c->broken = true;
        } catch (const otlpkit::rejected_error&) {
          ++gave_up;
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(served + gave_up == 4'000);
  CHECK(served >= 3'500);
  const auto counts = p.counts();
  CHECK(counts.used == 0);
  CHECK(counts.waiting == 0);
  CHECK(counts.idle <= 3);
}
