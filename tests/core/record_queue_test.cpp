// SPDX-License-Identifier: MIT
#include "record_queue.hpp"

#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace otlpkit;
using namespace queue_test;
using detail::producer;
using detail::record_queue;

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
