// SPDX-License-Identifier: MIT
// What decides in a batcher, without a thread: the queue, and the core with its books.
#include <otlpkit/messaging/batch_queue.hpp>
#include <otlpkit/messaging/batcher_core.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <utility>
#include <vector>

using namespace otlpkit::messaging;
using time_point = std::chrono::steady_clock::time_point;

namespace {

/// What a batch_queue should do, written as plainly as can be.
struct oracle {
  struct item {
    int value;
    std::size_t bytes;
    int came;
  };
  batch_limits limits;
  std::vector<item> waiting{};
  bool pressure = false, closed = false;
  std::size_t to_flush = 0;  ///< how many of the first ones

  using answer = batch_queue<int>::answer;

  answer offer(int value, std::size_t bytes, int now) {
    if (closed) return answer::closed;
    if (limits.when_full == overflow::block && pressure) return answer::wait;
    if (waiting.size() == limits.high_watermark) {
      if (limits.when_full == overflow::drop_newest) return answer::dropped;
      waiting.erase(waiting.begin());
      if (to_flush > 0) --to_flush;
      waiting.push_back({value, bytes, now});
      return answer::taken_for_oldest;
    }
    waiting.push_back({value, bytes, now});
    if (waiting.size() == limits.high_watermark) pressure = true;
    return answer::taken;
  }

  std::optional<batch_reason> due(int now) const {
    if (waiting.empty()) return std::nullopt;
    std::size_t bytes = 0;
    for (const item& i : waiting) bytes += i.bytes;
    if (waiting.size() >= limits.max_items) return batch_reason::count;
    if (limits.max_bytes > 0 && bytes >= limits.max_bytes) return batch_reason::bytes;
    if (closed) return batch_reason::close;
    if (to_flush > 0) return batch_reason::flush;
    if (pressure) return batch_reason::pressure;
    if (std::chrono::seconds{now - waiting[0].came} >= limits.max_delay) return batch_reason::time;
    return std::nullopt;
  }

  std::vector<int> take(int now) {
    std::vector<int> out;
    if (!due(now)) return out;
    std::size_t bytes = 0;
    while (!waiting.empty() && out.size() < limits.max_items) {
      bytes += waiting[0].bytes;
      if (limits.max_bytes > 0 && !out.empty() && bytes > limits.max_bytes) break;
      out.push_back(waiting[0].value);
      waiting.erase(waiting.begin());
      if (to_flush > 0) --to_flush;
    }
    if (waiting.size() <= limits.low_watermark) pressure = false;
    return out;
  }
};

/// A batcher that nobody waits in: it counts who would be woken.
class quiet_batcher final : public detail::batcher_core<int> {
 public:
  using batcher_core::batcher_core;
  int senders = 0, waiters = 0;

 private:
  void wake_sender() noexcept override { ++senders; }
  void wake_waiters() noexcept override { ++waiters; }
};

}  // namespace

TEST_CASE("random sequences on the queue do as the plainly written model does") {
  for (unsigned seed = 0; seed < 4000; ++seed) {
    std::mt19937 random{seed};
    const auto roll = [&](unsigned n) { return static_cast<std::size_t>(random() % n); };
    batch_limits limits;
    limits.high_watermark = 2 + roll(8);
    limits.low_watermark = roll(static_cast<unsigned>(limits.high_watermark));
    limits.max_items = 1 + roll(static_cast<unsigned>(limits.high_watermark));
    limits.max_bytes = roll(2) == 0 ? 0 : 1 + roll(20);
    limits.max_delay = std::chrono::seconds{1 + roll(5)};
    limits.when_full = static_cast<overflow>(roll(3));
    batch_queue<int> queue{limits};
    oracle model{limits};
    int now = 0;
    const auto at = [](int seconds) { return time_point{} + std::chrono::seconds{seconds}; };
    for (int step = 0; step < 80; ++step) {
      INFO("seed " << seed << " step " << step);
      switch (roll(10)) {
        default: {
          int value = step;
          const std::size_t bytes = roll(8);
          REQUIRE(queue.offer(value, bytes, at(now)) == model.offer(step, bytes, now));
          break;
        }
        case 6:
        case 7: {
          const auto why = model.due(now);
          REQUIRE(queue.due(at(now)) == why);
          auto batch = queue.take(at(now));
          REQUIRE(batch.items == model.take(now));
          if (why) REQUIRE(batch.reason == *why);
          break;
        }
        case 8: now += static_cast<int>(roll(4)); break;
        case 9:
          if (roll(12) == 0) {
            queue.close();
            model.closed = true;
          } else if (roll(12) == 0) {
            REQUIRE(queue.drop_all() == model.waiting.size());
            REQUIRE(queue.bytes() == 0);
            model.waiting.clear();
            model.to_flush = 0;
            model.pressure = false;
          } else if (roll(3) == 0) {
            queue.flush();
            model.to_flush = model.waiting.size();
          }
      }
      REQUIRE(queue.size() == model.waiting.size());
      REQUIRE(queue.size() <= limits.high_watermark);
      REQUIRE(queue.pressure() == model.pressure);
      if (!model.waiting.empty()) {
        REQUIRE(queue.due_at() == at(model.waiting[0].came) + limits.max_delay);
      } else {
        REQUIRE_FALSE(queue.due_at().has_value());
      }
    }
  }
}

TEST_CASE("an item larger than a batch may be goes alone") {
  batch_limits limits;
  limits.max_bytes = 10;
  batch_queue<int> queue{limits};
  int a = 1, b = 2, c = 3;
  queue.offer(a, 4, {});
  queue.offer(b, 50, {});
  queue.offer(c, 4, {});
  CHECK(queue.take({}).items == std::vector<int>{1});
  const auto large = queue.take({});
  CHECK(large.items == std::vector<int>{2});
  CHECK(large.bytes == 50);
  CHECK(queue.take({}).items.empty());
  CHECK(queue.bytes() == 4);
}

TEST_CASE("random sequences on a batcher: each item comes to one end, and whoever waits for a change is woken") {
  for (unsigned seed = 0; seed < 1000; ++seed) {
    std::mt19937 random{seed};
    const auto roll = [&](unsigned n) { return static_cast<std::size_t>(random() % n); };
    otlpkit::testing::manual_time time;
    batcher_options options;
    options.high_watermark = 2 + roll(6);
    options.low_watermark = roll(static_cast<unsigned>(options.high_watermark));
    options.max_items = 1 + roll(static_cast<unsigned>(options.high_watermark));
    options.max_delay = std::chrono::seconds{1 + roll(5)};
    options.when_full = static_cast<overflow>(roll(3));
    options.time = &time;
    quiet_batcher core{options, {}};

    std::deque<std::uint64_t> waiting, sending;  // items by their numbers
    batcher_counts books;
    bool closed = false, stopped = false;
    auto give_up = time_point::max();
    quiet_batcher::batch_type batch;
    for (int step = 0; step < 60 && !stopped; ++step) {
      INFO("seed " << seed << " step " << step);
      const int senders = core.senders, waiters = core.waiters;
      switch (roll(10)) {
        default: {
          const bool pressure = core.pressure();
          int item = step;
          const auto answer = core.offer(item, 0, {});
          if (answer != quiet_batcher::answer::taken && answer != quiet_batcher::answer::taken_for_oldest) break;
          REQUIRE_FALSE(closed);
          waiting.push_back(++books.added);
          if (answer == quiet_batcher::answer::taken_for_oldest) waiting.pop_front(), ++books.dropped_oldest;
          REQUIRE(core.pressed() == (core.pressure() && !pressure));
          if (waiting.size() == 1 || waiting.size() >= options.max_items) REQUIRE(core.senders > senders);
          break;
        }
        case 5:
        case 6: {
          if (!sending.empty()) {
            const bool failed = roll(3) == 0;
            core.finished(batch, failed);
            (failed ? books.failed : books.sent) += sending.size();
            sending.clear();
            REQUIRE(core.waiters > waiters);
            break;
          }
          auto next = core.next();
          if (closed && time.now() >= give_up) {
            REQUIRE(core.take_lost() == waiting.size());
            books.dropped_at_close += waiting.size();
            waiting.clear();
            REQUIRE(core.waiters > waiters);
          }
          batch = std::move(next.send);
          if (batch.items.empty()) {
            REQUIRE(next.stop == closed);
            REQUIRE(next.until.has_value() == !waiting.empty());
            break;
          }
          REQUIRE(batch.items.size() <= waiting.size());
          const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(batch.items.size());
          sending.assign(waiting.begin(), end);
          waiting.erase(waiting.begin(), end);
          REQUIRE(core.waiters > waiters);  // there is room
          break;
        }
        case 7: time.advance(std::chrono::seconds{roll(3)}); break;
        case 8:
          REQUIRE(core.flush() == books.added);
          REQUIRE(core.senders > senders);
          break;
        case 9:
          if (roll(8) == 0) {
            const std::chrono::seconds timeout{roll(6)};
            core.close(timeout);
            closed = true;
            give_up = std::min(give_up, time.now() + timeout);
            REQUIRE(core.senders > senders);
            REQUIRE(core.waiters > waiters);
          } else if (roll(20) == 0) {
            REQUIRE(core.stopped() == waiting.size() + sending.size());
            books.dropped_at_close += waiting.size() + sending.size();
            waiting.clear(), sending.clear();
            closed = stopped = true;
            REQUIRE(core.waiters > waiters);
            REQUIRE(core.all_sent() == (books.dropped_at_close == 0));
            int late = 0;
            REQUIRE(core.offer(late, 0, {}) == quiet_batcher::answer::closed);
          }
      }
      const auto unsettled = [&](std::uint64_t number) {
        const auto before = [number](std::uint64_t n) { return n <= number; };
        return std::any_of(waiting.begin(), waiting.end(), before) ||
               std::any_of(sending.begin(), sending.end(), before);
      };
      for (std::uint64_t number = 0; number <= books.added; ++number) {
        // Behind items that were dropped for others a batch under way is waited for, too.
        if (unsettled(number)) REQUIRE_FALSE(core.settled(number));
        if (!unsettled(number) && (sending.empty() || books.dropped_oldest == 0)) REQUIRE(core.settled(number));
      }
      const batcher_counts got = core.counts();
      REQUIRE(got.added == books.added);
      REQUIRE(got.queued == waiting.size());
      REQUIRE(got.sent == books.sent);
      REQUIRE(got.failed == books.failed);
      REQUIRE(got.dropped_oldest == books.dropped_oldest);
      REQUIRE(got.dropped_at_close == books.dropped_at_close);
    }
  }
}
