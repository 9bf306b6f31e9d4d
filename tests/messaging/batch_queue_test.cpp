// SPDX-License-Identifier: MIT
#include <otlpkit/messaging/batch_queue.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <random>
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
