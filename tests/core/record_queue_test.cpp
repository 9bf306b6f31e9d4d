// SPDX-License-Identifier: MIT
#include <otlpkit/core/record_queue.hpp>
#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace otlpkit;
using detail::producer;
using detail::record_queue;

namespace {

constexpr std::size_t plenty = std::size_t{1} << 30;

/// Records `text`; false when it was dropped.
bool record(record_queue& q, producer& p, std::string_view text, std::uint16_t scope = 0) {
  wire::byte* const at = q.reserve(p, text.size());
  if (at == nullptr) return false;
  std::memcpy(at, text.data(), text.size());
  q.commit(p, at + text.size(), scope);
  return true;
}

std::vector<std::string> drain(record_queue& q) {
  std::vector<std::string> out;
  q.drain([&out](std::uint16_t, std::string_view bytes) {
    out.emplace_back(bytes);
    return true;
  });
  return out;
}

std::uint64_t drops(record_queue& q) {
  const detail::record_drops d = q.dropped();
  return d.queue_full + d.too_large;
}

/// A queue as the program has one: it is never destroyed.
record_queue& new_queue(std::size_t bytes = plenty, std::int64_t items = INT64_MAX / 2) {
  static auto* const all = new std::vector<record_queue*>;
  record_queue& q = *all->emplace_back(new record_queue);
  q.max_bytes.store(bytes, platform::relaxed);
  q.max_items.store(items, platform::relaxed);
  return q;
}

}  // namespace

TEST_CASE("records come out whole, in order, with their scope") {
  record_queue& q = new_queue();
  producer p{};
  std::vector<std::string> told;
  std::mt19937_64 random{7};
  for (int i = 0; i < 3'000; ++i) {
    told.emplace_back(random() % (i % 100 == 0 ? 200'000 : 300), static_cast<char>('a' + i % 26));
    REQUIRE(record(q, p, told.back(), static_cast<std::uint16_t>(i)));
  }
  std::size_t n = 0;
  q.drain([&](std::uint16_t scope, std::string_view bytes) {
    REQUIRE(n < told.size());
    CHECK(bytes == told[n]);
    CHECK(scope == static_cast<std::uint16_t>(n));
    ++n;
    return true;
  });
  CHECK(n == told.size());
  q.retire(p);
  CHECK(drain(q).empty());
  CHECK(q.memory() == 0);
  CHECK(q.waiting() == 0);
}

TEST_CASE("a reader that stops in the middle goes on where it was") {
  record_queue& q = new_queue();
  producer a{};
  producer b{};
  for (int i = 0; i < 500; ++i) {
    record(q, a, "a" + std::to_string(i));
    record(q, b, "b" + std::to_string(i));
  }
  q.retire(a);
  int next_a = 0;
  int next_b = 0;
  for (int turn = 0; next_a + next_b < 1'000 && turn < 1'000; ++turn) {
    int room = 7;
    q.drain([&](std::uint16_t, std::string_view bytes) {
      int& next = bytes[0] == 'a' ? next_a : next_b;
      CHECK(bytes.substr(1) == std::to_string(next++));
      return --room > 0;
    });
  }
  CHECK(next_a == 500);
  CHECK(next_b == 500);
  q.retire(b);
  CHECK(drain(q).empty());
  CHECK(q.memory() == 0);
}

TEST_CASE("up to the mark the reader takes what was recorded before it, in as many turns as it likes, and no more") {
  record_queue& q = new_queue();
  producer early{}, late{}, idle{};
  for (int i = 0; i < 300; ++i) REQUIRE(record(q, early, std::string(100, 'a')));  // several chunks
  REQUIRE(record(q, late, "b"));
  REQUIRE(record(q, idle, "c"));
  CHECK(drain(q).size() == 302);
  q.mark();
  CHECK_FALSE(q.drain_marked([](std::uint16_t, std::string_view) { return true; }));  // nothing waits

  for (int i = 0; i < 3'000; ++i) REQUIRE(record(q, early, std::string(100, 'a')));  // again several
  REQUIRE(record(q, late, "b"));
  q.mark();
  producer newcomer{};
  std::size_t taken = 0, foreign = 0;
  bool left = true;
  for (int turn = 0; left; ++turn) {
    REQUIRE(turn < 100);
    REQUIRE(record(q, early, "after"));
    REQUIRE(record(q, late, "after"));
    REQUIRE(record(q, newcomer, "after"));
    int room = 70;
    left = q.drain_marked([&](std::uint16_t, std::string_view bytes) {
      ++taken;
      if (bytes == "after") ++foreign;
      return --room > 0;
    });
  }
  CHECK(taken == 3'001);
  CHECK(foreign == 0);
  CHECK_FALSE(q.drain_marked([](std::uint16_t, std::string_view) { return true; }));
  const auto rest = drain(q);
  CHECK(rest.size() == 3 * 43);
  CHECK(std::count(rest.begin(), rest.end(), "after") == 3 * 43);
}

TEST_CASE("a reader that passes the mark otherwise, and threads that end, leave nothing of it behind") {
  record_queue& q = new_queue();
  producer a{}, b{};
  REQUIRE(record(q, a, "a"));
  REQUIRE(record(q, b, "b"));
  q.mark();
  CHECK(drain(q).size() == 2);
  CHECK_FALSE(q.drain_marked([](std::uint16_t, std::string_view) { return true; }));

  REQUIRE(record(q, a, "a"));
  q.mark();
  for (int i = 0; i < 100; ++i) REQUIRE(record(q, a, std::string(1'000, 'a')));  // the marked chunk is given back
  CHECK(drain(q).size() == 101);
  REQUIRE(record(q, a, "after"));
  CHECK_FALSE(q.drain_marked([](std::uint16_t, std::string_view) { return true; }));
  CHECK(drain(q) == std::vector<std::string>{"after"});

  REQUIRE(record(q, a, "a"));
  q.mark();
  q.retire(a);
  q.retire(b);
  std::size_t taken = 0;
  CHECK_FALSE(q.drain_marked([&](std::uint16_t, std::string_view) { return ++taken, true; }));
  CHECK(taken == 1);
  CHECK(q.memory() == 0);
  CHECK(q.waiting() == 0);
}

TEST_CASE("a record its reader has no memory for counts as dropped, and the rest comes out later") {
  record_queue& q = new_queue();
  producer p{};
  for (const char* text : {"one", "two", "three"}) REQUIRE(record(q, p, text));
  std::vector<std::string> out;
  q.drain([&](std::uint16_t, std::string_view bytes) {
    if (bytes == "two") throw std::bad_alloc{};
    out.emplace_back(bytes);
    return true;
  });
  CHECK(out == std::vector<std::string>{"one"});
  CHECK(q.dropped().queue_full == 1);
  CHECK(drain(q) == std::vector<std::string>{"three"});
  q.retire(p);
  drain(q);
}

TEST_CASE("what an idle thread recorded is seen without its help") {
  record_queue& q = new_queue();
  producer idle{};
  record(q, idle, "one");
  CHECK(drain(q) == std::vector<std::string>{"one"});
  CHECK(drain(q).empty());
  record(q, idle, "two");
  CHECK(drain(q) == std::vector<std::string>{"two"});
  q.retire(idle);
  CHECK(drain(q).empty());
}

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
  static std::atomic<int> calls;
  calls = 0;
  record_queue& q = new_queue(plenty, 5'000);
  q.wake_items.store(1'000, platform::relaxed);
  q.wake.store([]() noexcept { ++calls; }, platform::relaxed);
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
  static std::atomic<int> calls;
  calls = 0;
  record_queue& q = new_queue(plenty, 40'000);
  q.wake_items.store(100, platform::relaxed);
  q.wake.store([]() noexcept { ++calls; }, platform::relaxed);
  q.reader_looks_again(true);
  producer p{};
  for (int i = 0; i < 8'000; ++i) record(q, p, "0123456789");
  CHECK(q.waiting() > 100);
  CHECK(calls == 0);
  for (int i = 0; i < 12'000; ++i) record(q, p, "0123456789");
  CHECK(q.waiting() > 10'000);  // a quarter of what may wait
  CHECK(calls == 1);
  drain(q);
  q.reader_looks_again(false);
  for (int i = 0; i < 8'000; ++i) record(q, p, "0123456789");
  CHECK(calls == 2);
  q.retire(p);
  drain(q);
}

TEST_CASE("a reader of closed chunks leaves alone what is being filled, until its thread has ended") {
  record_queue& q = new_queue();
  producer p{};
  std::size_t closed = 0;
  const auto read_closed = [&] {
    std::size_t count = 0;
    q.drain_closed([&](std::uint16_t, std::string_view bytes) {
      CHECK(bytes == "0123456789");
      ++count;
      return true;
    });
    return count;
  };
  record(q, p, "0123456789");
  CHECK(read_closed() == 0);
  int recorded = 1;
  while (q.waiting() == 0) {
    record(q, p, "0123456789");
    ++recorded;
  }
  closed = static_cast<std::size_t>(q.waiting());
  CHECK(closed == static_cast<std::size_t>(recorded) - 1);
  CHECK(read_closed() == closed);
  CHECK(q.waiting() == 0);
  CHECK(read_closed() == 0);
  q.retire(p);
  CHECK(read_closed() == 1);
  CHECK(q.waiting() == 0);
}

TEST_CASE("64 threads record while threads are born and die and others read, and every record is accounted for") {
  record_queue& q = new_queue(2 << 20, 20'000);  // small enough that some are dropped
  std::atomic<std::uint64_t> recorded{0};
  std::atomic<bool> stop{false};
  std::uint64_t drained = 0;
  std::uint64_t damaged = 0;
  const auto read = [&] {
    q.drain([&](std::uint16_t scope, std::string_view bytes) {
      ++drained;
      for (const char c : bytes) damaged += static_cast<std::uint64_t>(c != static_cast<char>(scope));
      return true;
    });
  };
  std::mutex reading;  // of `drained`
  const auto reader = [&] {
    while (!stop) {
      {
        const std::lock_guard lock{reading};
        read();
      }
      static_cast<void>(drops(q));
      std::this_thread::yield();
    }
  };
  const auto work = [&](unsigned seed, int count) {
    producer p{};
    std::mt19937 random{seed};
    for (int i = 0; i < count; ++i) {
      record(q, p, std::string(random() % 400, static_cast<char>(seed)), static_cast<unsigned char>(seed));
      ++recorded;
    }
    q.retire(p);
  };
  std::thread readers[] = {std::thread{reader}, std::thread{reader}};
  std::vector<std::thread> writers;
  for (unsigned i = 0; i < 64; ++i) {
    writers.emplace_back([&, i] {
      work(i, 1'000);
      for (unsigned born = 0; born < 4; ++born) std::thread{work, i + born, 50}.join();
    });
  }
  for (std::thread& t : writers) t.join();
  stop = true;
  for (std::thread& t : readers) t.join();
  read();
  CHECK(recorded == 64 * 1'200);
  CHECK(drained + drops(q) == recorded);
  CHECK(damaged == 0);
  CHECK(q.memory() == 0);
  CHECK(q.waiting() == 0);
}

namespace {

/// A span that ends when its thread's thread_local objects are destroyed.
struct ends_with_thread {
  std::optional<span> s;
};
thread_local ends_with_thread last;

}  // namespace

TEST_CASE("spans that end in thread_local destructors and in pthread key destructors are kept") {
  support::recording spans;
  static pthread_key_t key;
  REQUIRE(pthread_key_create(&key, [](void* left) {
            delete static_cast<span*>(left);
            span late{"started in a key destructor"};
          }) == 0);
  std::thread{[] {
    last.s.emplace(span_name{"thread_local"});
    pthread_setspecific(key, new span{"key"});
  }}.join();
  std::thread{[] {  // the thread's first span of all is made after its log was closed, or never had one
    pthread_setspecific(key, new span{"key", {}, {.parent = no_parent}});
  }}
      .join();
  std::vector<std::string> names;
  for (const auto& s : spans.take()) names.push_back(s.name);
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"key", "key", "started in a key destructor", "started in a key destructor",
                                          "thread_local"});
  pthread_key_delete(key);
}

TEST_CASE("threads that record spans leave no memory in use when they ended and were read") {
  support::recording spans;
  for (int i = 0; i < 50; ++i) {
    std::thread{[] {
      for (int n = 0; n < 5; ++n) span_guard s{"op"};
    }}.join();
  }
  CHECK(spans.take().size() == 250);
  const std::size_t mine = detail::global_runtime.spans.memory();
  CHECK(mine <= detail::chunk::largest);  // at most this thread's own
}
