// SPDX-License-Identifier: MIT
// How much may wait in a queue, what is counted, and when the reader is woken.
#include "record_queue.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace otlpkit;
using namespace queue_test;
using detail::producer;
using detail::record_queue;

namespace {

/// Counts how often the reader is woken.
std::atomic<int> calls;

/// A queue that wakes its reader when so many wait.
record_queue& waking_queue(std::int64_t wake_items, std::int64_t items) {
  calls = 0;
  record_queue& q = new_queue(plenty, items);
  q.wake_items.store(wake_items, platform::relaxed);
  q.wake.store([]() noexcept { ++calls; }, platform::relaxed);
  return q;
}

/// Fills the chunk that `p` records into, until it is closed. Returns how many records it took.
std::int64_t close_chunk(record_queue& q, producer& p) {
  const std::int64_t before = q.waiting();
  std::int64_t recorded = 0;
  for (; q.waiting() == before; ++recorded) REQUIRE(record(q, p, "0123456789"));
  return recorded;
}

}  // namespace

TEST_CASE("overload keeps memory within the budget and counts what it drops") {
  constexpr std::size_t budget = 1 << 20;
  record_queue& q = new_queue(budget);
  std::vector<producer> threads(20);
  std::uint64_t recorded = 0;
  for (int i = 0; i < 2'000; ++i) {
    for (producer& p : threads) {
      record(q, p, std::string(100, 'x'));
      ++recorded;
      CHECK(q.memory() <= budget);
    }
  }
  const std::uint64_t kept = drain(q).size();
  CHECK(kept > budget / 100 / 4);  // a good part of the budget is used
  CHECK(kept + drops(q) == recorded);
  CHECK(q.dropped().too_large == 0);

  for (producer& p : threads) q.retire(p);  // after the overload there is room again
  drain(q);
  producer late{};
  CHECK(record(q, late, "again"));
  q.retire(late);
  CHECK(drain(q).size() == 1);
  CHECK(kept + drops(q) == recorded);
}

TEST_CASE("the number of waiting records is bounded to a chunk per thread") {
  record_queue& q = new_queue(plenty, 1'000);
  producer p{};
  for (int i = 0; i < 100'000; ++i) record(q, p, "0123456789");
  const std::uint64_t kept = drain(q).size();
  CHECK(kept >= 1'000);
  CHECK(kept <= 1'000 + detail::chunk::largest / 18);
  CHECK(kept + drops(q) == 100'000);
  CHECK(record(q, p, "room again"));
  q.retire(p);
  drain(q);
}

TEST_CASE("a record larger than the whole budget is dropped as too large") {
  record_queue& q = new_queue(64 << 10);
  producer p{};
  CHECK_FALSE(record(q, p, std::string(100'000, 'x')));
  CHECK(q.dropped().too_large == 1);
  CHECK(record(q, p, "small"));
  CHECK_FALSE(record(q, p, std::string(100'000, 'x')));
  CHECK(q.dropped().too_large == 2);
  CHECK(q.dropped().queue_full == 0);
  q.retire(p);
  CHECK(drain(q).size() == 1);
  CHECK(q.dropped().too_large == 2);
}

TEST_CASE("a thread that never found room leaves its drops behind and nothing else") {
  record_queue& q = new_queue(4096);
  producer first{};
  record(q, first, "takes the only chunk");
  for (int i = 0; i < 100; ++i) {
    producer unlucky{};
    CHECK_FALSE(record(q, unlucky, "x"));
    CHECK_FALSE(record(q, unlucky, "x"));
    q.retire(unlucky);
  }
  CHECK(q.dropped().queue_full == 200);
  q.retire(first);
  drain(q);
  CHECK(q.dropped().queue_full == 200);
}

TEST_CASE("the reader is woken once per drain, when enough waits or something is dropped") {
  record_queue& q = waking_queue(1'000, 5'000);
  producer p{};
  for (int i = 0; i < 100; ++i) record(q, p, "0123456789");
  CHECK(calls == 0);
  for (int i = 0; i < 100'000; ++i) record(q, p, "0123456789");
  CHECK(calls == 1);
  drain(q);
  for (int i = 0; i < 100'000; ++i) record(q, p, "0123456789");
  CHECK(calls == 2);
  q.retire(p);
  drain(q);
}

TEST_CASE("a reader that looks again by itself is woken only when much waits, and again once it does not") {
  record_queue& q = waking_queue(100, 40'000);
  q.reader_looks_again(true);
  producer p{};
  for (int i = 0; i < 8'000; ++i) record(q, p, "0123456789");
  CHECK(q.waiting() > 100);
  CHECK(calls == 0);
  for (int i = 0; i < 10'000; ++i) record(q, p, "0123456789");
  CHECK(calls == 0);
  for (int i = 0; i < 8'000; ++i) record(q, p, "0123456789");
  CHECK(q.waiting() > 20'000);  // half of what may wait
  CHECK(calls == 1);
  drain(q);
  q.reader_looks_again(false);
  for (int i = 0; i < 8'000; ++i) record(q, p, "0123456789");
  CHECK(calls == 2);
  q.retire(p);
  drain(q);
}

TEST_CASE("what is read of a chunk that is being filled is not missing from what waits in others") {
  record_queue& q = new_queue();
  producer a{}, b{};
  for (int i = 0; i < 50; ++i) REQUIRE(record(q, a, "0123456789"));
  CHECK(drain(q).size() == 50);
  CHECK(q.waiting() == 0);
  const std::int64_t closed = close_chunk(q, b) - 1;  // the last one is in the next chunk
  CHECK(q.waiting() == closed);
  const std::int64_t rest = close_chunk(q, a) - 1;
  CHECK(q.waiting() == closed + rest);
  CHECK(q.unread() == closed + rest + 2);
  CHECK(drain(q).size() == static_cast<std::size_t>(closed + rest + 2));
  CHECK(q.waiting() == 0);
  q.retire(a);
  q.retire(b);
  CHECK(q.waiting() == 0);
  CHECK(drain(q).empty());
}

TEST_CASE(
    "at any moment those wait that are in closed chunks, or in a full one without a successor, and were not read") {
  constexpr std::int64_t most = 300;
  record_queue& q = new_queue(plenty, most);
  std::mt19937_64 random{11};
  std::vector<producer> threads(5);
  std::uint64_t recorded = 0, read = 0;
  for (int i = 0; i < 20'000; ++i) {
    producer& p = threads[random() % threads.size()];
    for (std::uint64_t n = random() % 60; n > 0; --n, ++recorded) record(q, p, std::string(random() % 200, 'x'));
    std::uint64_t room = random() % 200;
    const auto some = [&](std::uint16_t, std::string_view) { return ++read, room-- > 0; };
    switch (random() % 6) {
      case 0: q.drain(some); break;
      case 1: q.drain_closed(some); break;
      case 2: q.mark(); break;
      case 3: q.drain_marked(some); break;
      case 4: q.retire(p); break;
      default: break;
    }
    const std::int64_t waiting = q.waiting();
    CHECK(waiting >= 0);
    CHECK(waiting <= q.unread());
    CHECK(read + drops(q) + static_cast<std::uint64_t>(q.unread()) == recorded);
  }
  for (producer& p : threads) q.retire(p);
  CHECK(q.waiting() == q.unread());
  read += drain(q).size();
  CHECK(read + drops(q) == recorded);
  CHECK(q.waiting() == 0);
  CHECK(q.memory() == 0);
}

TEST_CASE("a thread that found no room and fell silent leaves the room to the others once it was read") {
  record_queue& q = new_queue(plenty, 16);
  producer silent{}, other{};
  while (record(q, silent, "0123456789")) {
  }
  CHECK(q.waiting() > 16);
  CHECK_FALSE(record(q, other, "0123456789"));
  CHECK(static_cast<std::int64_t>(drain(q).size()) > 16);
  CHECK(q.waiting() == 0);
  for (int i = 0; i < 10; ++i) CHECK(record(q, other, "0123456789"));
  CHECK(record(q, silent, "0123456789"));
  CHECK(drain(q).size() == 11);
}
