// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/messaging/batcher.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;

namespace {

struct reading {
  std::string device;
  double celsius = 0;
};

// The example of docs/batcher.md.
std::size_t store_readings() {
  std::size_t stored = 0;
  batcher<reading> readings{{.name = "readings", .max_items = 100, .max_delay = 200ms},
                            [&](std::span<const reading> batch) { stored += batch.size(); }};
  for (int i = 0; i < 250; ++i) {
    OTLPKIT_SPAN("iot.ingest", {"device_id", i});
    readings.add({.device = std::to_string(i), .celsius = 21.5});
  }
  readings.close(5s);
  return stored;
}

/// A sink that stands still until it is told to go on.
class gate {
 public:
  void pass() {
    std::unique_lock lock{mutex_};
    ++inside_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void wait_for_one_inside() {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return inside_ > 0; });
  }
  void open() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool open_ = false;
};

}  // namespace

TEST_CASE("the page's example: all readings are stored, in batches that link to where they came from") {
  recorded out;
  CHECK(store_readings() == 250);
  std::size_t links = 0, batches = 0;
  for (const auto& s : out.all.take()) {
    if (s.name != "batch.flush readings") continue;
    ++batches;
    links += s.links.size();
    CHECK(s.parent_id.empty());
  }
  CHECK(batches >= 3);
  CHECK(links == 250);
}

TEST_CASE("a batch links to each span its items came from once, and to no more than it may") {
  recorded out;
  {
    batcher<int> items{{.name = "few", .max_items = 10, .max_links = 3}, [](std::vector<int>&) {}};
    {
      otlpkit::span_guard caller{"caller"};
      for (int i = 0; i < 4; ++i) CHECK(items.add(i));
    }
    for (int i = 0; i < 6; ++i) {
      otlpkit::span_guard caller{"caller"};
      CHECK(items.add(i));
    }
    items.flush();
  }
  const auto spans = out.spans();
  const auto& batch = recorded::only(spans, "batch.flush few");
  CHECK(batch.kind == 1);
  CHECK(batch.parent_id.empty());
  CHECK(batch.attributes["otlpkit.batcher.name"] == "few");
  CHECK(batch.attributes["otlpkit.batcher.batch.items"] == 10);
  CHECK(batch.attributes["otlpkit.batcher.reason"] == "count");
  CHECK_FALSE(batch.attributes.contains("otlpkit.batcher.batch.bytes"));
  REQUIRE(batch.links.size() == 3);
  CHECK(batch.links[0].span_id != batch.links[1].span_id);
}

TEST_CASE("batches go out by count, by bytes, by time and when asked for, and say which") {
  recorded out;
  otlpkit::testing::manual_time time;
  std::vector<std::string> got;
  {
    batcher<std::string> texts{{.name = "texts", .max_items = 3, .max_bytes = 8, .time = &time},
                               [&](const std::vector<std::string>& b) {
                                 for (const auto& t : b) got.push_back(t);
                               }};
    texts.add("1");
    texts.flush();  // by time, as the clock does not wait, or because it was asked for
    CHECK(got.size() == 1);
    texts.add("12345678");
    texts.flush();
    CHECK(texts.counts().sent == 2);
  }
  const auto spans = out.spans();
  REQUIRE(spans.size() == 2);
  CHECK(spans[1].attributes["otlpkit.batcher.reason"] == "bytes");
  CHECK(spans[1].attributes["otlpkit.batcher.batch.bytes"] == 8);
}

TEST_CASE("bytes are counted as told, and not at all where they do not count") {
  recorded out;
  int asked = 0;
  const auto size_of = [&asked](const int&) { return ++asked, std::size_t{5}; };
  batcher<int> sized{{.name = "sized", .max_bytes = 10, .max_delay = 1h}, [](std::vector<int>&) {}, size_of};
  CHECK((sized.add(1) && sized.add(2)));
  sized.flush();
  CHECK(recorded::only(out.spans(), "batch.flush sized").attributes["otlpkit.batcher.reason"] == "bytes");
  batcher<int> counted{{.max_items = 1}, [](std::vector<int>&) {}, size_of};
  CHECK(counted.add(1));
  CHECK(asked == 2);
}

TEST_CASE("whoever sends wakes up for a first item, and for one that completes a batch") {
  struct watched : otlpkit::resilience::time_source {
    std::atomic<int> sleeps{0};
    otlpkit::resilience::nanoseconds timer_for(otlpkit::resilience::nanoseconds d) override {
      ++sleeps;
      return d;
    }
  } time;
  batcher<int> items{{.max_items = 2, .max_delay = 1h, .time = &time}, [](std::vector<int>&) {}};
  const auto comes = [](auto done) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!done() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return done();
  };
  for (std::uint64_t round = 1; round <= 20; ++round) {
    items.add(1);
    REQUIRE(comes([&] { return time.sleeps >= static_cast<int>(round); }));
    items.add(2);
    REQUIRE(comes([&] { return items.counts().sent == 2 * round; }));
  }
}

TEST_CASE("where there is no room items wait for it, and go on at the low watermark") {
  recorded out;
  gate sink;
  std::vector<int> got;
  {
    batcher<int> items{{.name = "blocking", .max_items = 2, .high_watermark = 4, .low_watermark = 1},
                       [&](const std::vector<int>& b) {
                         sink.pass();
                         got.insert(got.end(), b.begin(), b.end());
                       }};
    CHECK(items.add(0));
    CHECK(items.add(1));
    sink.wait_for_one_inside();
    {
      const otlpkit::span_guard caller{"caller"};
      for (int i = 2; i < 6; ++i) CHECK(items.add(i));
    }
    CHECK(items.under_pressure());
    CHECK(items.counts().queued == 4);
    std::atomic<bool> in{false};
    std::thread late{[&] {
      const otlpkit::span_guard caller{"caller late"};
      CHECK(items.add(6));
      in = true;
    }};
    while (items.counts().waiting == 0) std::this_thread::yield();
    CHECK_FALSE(in);
    sink.open();
    late.join();
    CHECK(items.counts().waiting == 0);
    items.flush();
    CHECK_FALSE(items.under_pressure());
    const auto counts = items.counts();
    CHECK(counts.added == 7);
    CHECK(counts.sent == 7);
    CHECK(counts.dropped_newest == 0);
  }
  CHECK(got == std::vector<int>{0, 1, 2, 3, 4, 5, 6});
  const auto spans = out.spans();
  CHECK(recorded::events(recorded::only(spans, "caller")) == "otlpkit.batcher.pressure");
  CHECK(recorded::events(recorded::only(spans, "caller late")) == "otlpkit.batcher.waited");
  CHECK(out.metric("otlpkit.batcher.wait.duration")["otlpkit.batcher.name=blocking"] == 1);
}

TEST_CASE("waiting for room ends with max_wait, with the task's deadline and when the batcher closes") {
  recorded out;
  gate sink;
  otlpkit::testing::manual_time time;
  batcher<int> items{
      {.name = "impatient", .max_items = 1, .high_watermark = 1, .low_watermark = 0, .max_wait = 3s, .time = &time},
      [&](std::vector<int>&) { sink.pass(); }};
  CHECK(items.add(0));
  sink.wait_for_one_inside();
  CHECK(items.add(1));
  CHECK_FALSE(items.add(2));
  CHECK(time.take_waits() == std::vector<std::chrono::nanoseconds>{3s});
  {
    const otlpkit::deadline_scope soon{0ns};
    CHECK_FALSE(items.add(3));
  }
  CHECK(time.take_waits().empty());
  std::thread closing{[&] { CHECK(items.close(60s)); }};
  sink.open();
  closing.join();
  CHECK_FALSE(items.add(4));
  CHECK(items.counts().dropped_newest == 3);
  CHECK(items.counts().sent == 2);
}

TEST_CASE("what is dropped is counted: the newest, or the oldest") {
  for (const overflow policy : {overflow::drop_newest, overflow::drop_oldest}) {
    recorded out;
    gate sink;
    std::vector<int> got;
    {
      batcher<int> items{
          {.name = "dropping", .max_items = 2, .high_watermark = 2, .low_watermark = 1, .when_full = policy},
          [&](const std::vector<int>& b) {
            sink.pass();
            got.insert(got.end(), b.begin(), b.end());
          }};
      items.add(0);
      items.add(1);
      sink.wait_for_one_inside();
      const otlpkit::span_guard caller{"caller"};
      CHECK(items.add(2));
      CHECK(items.add(3));
      CHECK(items.add(4) == (policy == overflow::drop_oldest));
      CHECK(out.metric("otlpkit.batcher.queued")["otlpkit.batcher.name=dropping"] == 2);
      CHECK(out.metric("otlpkit.batcher.pressure")["otlpkit.batcher.name=dropping"] == 1);
      CHECK(out.metric("otlpkit.batcher.limit")["otlpkit.batcher.name=dropping"] == 2);
      sink.open();
      CHECK(items.close(60s));
      const auto counts = items.counts();
      CHECK(counts.sent == 4);
      CHECK((policy == overflow::drop_oldest ? counts.dropped_oldest : counts.dropped_newest) == 1);
      CHECK(counts.added == counts.sent + counts.dropped_oldest);
    }
    CHECK(got == (policy == overflow::drop_oldest ? std::vector<int>{0, 1, 3, 4} : std::vector<int>{0, 1, 2, 3}));
    const std::string outcome = policy == overflow::drop_oldest ? "dropped_oldest" : "dropped_newest";
    auto items = out.metric("otlpkit.batcher.items");
    CHECK(items["otlpkit.batcher.name=dropping,otlpkit.batcher.outcome=" + outcome] == 1);
    CHECK(items["otlpkit.batcher.name=dropping,otlpkit.batcher.outcome=sent"] == 4);
    CHECK_FALSE(items.contains("otlpkit.batcher.name=dropping,otlpkit.batcher.outcome=dropped_at_close"));
    const auto spans = out.spans();
    CHECK(recorded::only(spans, "caller").event("otlpkit.batcher.dropped") != nullptr);
  }
}

TEST_CASE("a sink that throws loses its batch, which is counted, and gets the next one") {
  recorded out;
  int calls = 0;
  batcher<int> items{{.name = "failing", .max_items = 2}, [&](std::vector<int>&) {
                       if (++calls == 1) throw std::runtime_error{"disk full"};
                     }};
  for (int i = 0; i < 4; ++i) items.add(i);
  items.flush();
  CHECK(items.counts().failed == 2);
  CHECK(items.counts().sent == 2);
  CHECK(items.close(1s));
  const auto spans = out.spans();
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].is_error());
  CHECK(spans[0].attributes["error.type"] == "std::runtime_error");
  CHECK_FALSE(spans[1].is_error());
  CHECK(out.metric("otlpkit.batcher.items")["otlpkit.batcher.name=failing,otlpkit.batcher.outcome=failed"] == 2);
  CHECK(out.metric("otlpkit.batcher.flush.duration")["otlpkit.batcher.name=failing"] == 1);
  CHECK(out.metric("otlpkit.batcher.flush.duration")["error.type=std::runtime_error,otlpkit.batcher.name=failing"] ==
        1);
  CHECK(out.metric("otlpkit.batcher.batch.items")["otlpkit.batcher.name=failing,otlpkit.batcher.reason=count"] == 2);
}

TEST_CASE("closing sends what waits; what there is no time for is dropped and counted") {
  recorded out;
  gate sink;
  std::vector<int> got;
  {
    batcher<int> items{
        {.name = "closing", .max_items = 1, .high_watermark = 9, .low_watermark = 1, .close_timeout = 0ns},
        [&](const std::vector<int>& b) {
          sink.pass();
          got.insert(got.end(), b.begin(), b.end());
        }};
    for (int i = 0; i < 5; ++i) items.add(i);
    sink.wait_for_one_inside();
    CHECK_FALSE(items.close(1ms));
    CHECK(items.counts().dropped_at_close == 0);  // the sink is still at the first one
    sink.open();
    items.flush();
    CHECK(items.counts().dropped_at_close == 4);
    CHECK_FALSE(items.close(1s));
  }
  CHECK(got == std::vector<int>{0});
  CHECK(out.metric("otlpkit.batcher.items")["otlpkit.batcher.name=closing,otlpkit.batcher.outcome=dropped_at_close"] ==
        4);
  CHECK(out.spans().size() == 1);

  std::size_t sent = 0;
  {
    batcher<int> items{{.max_delay = 1h}, [&](const std::vector<int>& b) { sent += b.size(); }};
    for (int i = 0; i < 5; ++i) items.add(i);
  }
  CHECK(sent == 5);  // the destructor waits for the last batch
}

TEST_CASE("settings that make no sense are refused by name") {
  const auto refused = [](const batcher_options& o) {
    try {
      batcher<int> items{o, [](std::vector<int>&) {}};
      return std::string{};
    } catch (const otlpkit::config_error& e) {
      return e.setting();
    }
  };
  CHECK(refused({.max_items = 0}) == "batcher_options.max_items");
  CHECK(refused({.max_delay = 0ns}) == "batcher_options.max_delay");
  CHECK(refused({.max_items = 10, .high_watermark = 9, .low_watermark = 1}) == "batcher_options.high_watermark");
  CHECK(refused({.max_items = 1, .high_watermark = 4, .low_watermark = 4}) == "batcher_options.low_watermark");
  CHECK(refused({}).empty());
}

TEST_CASE("many threads: every item is sent once or counted as dropped, in the order of each thread") {
  for (const overflow policy : {overflow::block, overflow::drop_newest, overflow::drop_oldest}) {
    constexpr int threads = 4, each = 5000;
    std::vector<int> last(threads, -1);
    std::size_t got = 0;
    bool ordered = true;
    std::atomic<std::size_t> refused{0};
    batcher_counts counts;
    {
      batcher<std::pair<int, int>> items{{.max_items = 32,
                                          .max_delay = 1ms,
                                          .high_watermark = 64,
                                          .low_watermark = 16,
                                          .when_full = policy,
                                          .close_timeout = 60s},
                                         [&](const auto& batch) {
                                           for (const auto& [thread, number] : batch) {
                                             ordered = ordered && number > last[static_cast<std::size_t>(thread)];
                                             last[static_cast<std::size_t>(thread)] = number;
                                           }
                                           got += batch.size();
                                         }};
      std::vector<std::thread> all;
      for (int t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
          for (int i = 0; i < each; ++i) {
            if (!items.add({t, i})) ++refused;
            if (i % 1000 == 999) items.flush();
          }
        });
      }
      for (auto& t : all) t.join();
      CHECK(items.close(60s));
      counts = items.counts();
    }
    CHECK(ordered);
    CHECK(counts.queued == 0);
    CHECK(counts.sent == got);
    CHECK(counts.dropped_newest == refused);
    CHECK(counts.added == counts.sent + counts.dropped_oldest);
    CHECK(counts.added + counts.dropped_newest == threads * each);
    if (policy == overflow::block) CHECK(got == threads * each);
  }
}
