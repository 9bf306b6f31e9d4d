// SPDX-License-Identifier: MIT
// The limits of a rate_limiter as pure state, and its table of keys.
#include <otlpkit/resilience/rate_limiter.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::resilience::hash_key;
using otlpkit::resilience::key_hash;
using otlpkit::resilience::keyed_table;
using otlpkit::resilience::nanoseconds;
using otlpkit::resilience::permit;
using otlpkit::resilience::permit_rate;
using otlpkit::resilience::sliding_window;
using otlpkit::resilience::time_point;
using otlpkit::resilience::token_bucket;

namespace {

constexpr time_point start{1h};

nanoseconds random_ns(std::mt19937_64& random, nanoseconds most) {
  return nanoseconds{static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most.count() + 1))};
}

}  // namespace

TEST_CASE_TEMPLATE("a burst goes at once, then it is said how long to wait, and who waits so long may go", Limiter,
                   token_bucket, sliding_window) {
  Limiter limiter{{.permits_per_second = 10, .burst = 3}, start};
  CHECK(limiter.idle(start));
  for (int i = 0; i < 3; ++i) CHECK((limiter.available(start) == 3 - i && limiter.acquire(start).granted));
  CHECK_FALSE(limiter.idle(start));
  const permit refused = limiter.acquire(start);
  CHECK_FALSE(refused.granted);
  CHECK_FALSE(limiter.acquire(start + refused.wait - 10ns).granted);
  const permit later = limiter.acquire(start + refused.wait);
  CHECK((later.granted && later.wait == 0ns));
}

TEST_CASE("a token bucket refills one by one, a sliding window as its permits grow old") {
  token_bucket bucket{{.permits_per_second = 10, .burst = 3}, start};
  sliding_window window{{.permits_per_second = 10, .burst = 3}, start};
  for (int i = 0; i < 3; ++i) CHECK((bucket.acquire(start).granted && window.acquire(start).granted));
  CHECK(bucket.acquire(start + 100ms).granted);
  CHECK_FALSE(window.acquire(start + 299ms).granted);
  for (int i = 0; i < 3; ++i) CHECK(window.acquire(start + 301ms).granted);
  CHECK_FALSE(window.acquire(start + 302ms).granted);
}

TEST_CASE_TEMPLATE("a quiet time never saves up more than the burst", Limiter, token_bucket, sliding_window) {
  Limiter limiter{{.permits_per_second = 1000, .burst = 5}, start};
  CHECK(limiter.acquire(start).granted);
  CHECK(limiter.available(start + 24h) == 5);
  CHECK(limiter.idle(start + 24h));
}

TEST_CASE_TEMPLATE("a clock reading that is older than one seen before refuses nobody, nor takes anything away",
                   Limiter, token_bucket, sliding_window) {
  Limiter limiter{{.permits_per_second = 1, .burst = 2}, start};
  CHECK(limiter.acquire(start + 1ms).granted);
  const permit older = limiter.acquire(start);
  CHECK((older.granted && older.wait == 0ns));
  CHECK(limiter.available(start + 1ms) == doctest::Approx(0));
}

TEST_CASE_TEMPLATE("permits of the future go in order, as many as may wait, and can be given back", Limiter,
                   token_bucket, sliding_window) {
  Limiter limiter{{.permits_per_second = 1, .burst = 1, .queue_limit = 2}, start};
  CHECK(limiter.acquire(start).wait == 0ns);
  const permit first = limiter.acquire(start), second = limiter.acquire(start);
  CHECK((first.granted && second.granted));
  CHECK(first.wait.count() == doctest::Approx(1e9));
  CHECK(second.wait.count() == doctest::Approx(2e9));
  CHECK(limiter.available(start) == 0);
  const permit third = limiter.acquire(start);
  CHECK_FALSE(third.granted);
  CHECK(limiter.acquire(start + third.wait).granted);
  limiter.give_back(start + second.wait);
  CHECK(limiter.acquire(start + third.wait).granted);
  CHECK_FALSE(limiter.acquire(start + third.wait).granted);
}

TEST_CASE("a sliding window takes back only what it gave, and is idle when its last permit is a window ago") {
  sliding_window window{{.permits_per_second = 1, .burst = 1, .queue_limit = 2}, start};
  CHECK(window.acquire(start).wait == 0ns);
  const nanoseconds length = window.acquire(start).wait;
  window.give_back(start + 500ms);
  window.give_back(start + 1h);
  CHECK(window.acquire(start).wait == 2 * length);
  CHECK_FALSE(window.idle(start + 3 * length - 1ns));
  CHECK(window.idle(start + 3 * length));
}

TEST_CASE_TEMPLATE("rates too slow for a clock wait a century, and a rate of nanoseconds none to speak of", Limiter,
                   token_bucket, sliding_window) {
  Limiter slow{{.permits_per_second = 1e-300, .burst = 1}, start};
  CHECK(slow.acquire(start).granted);
  const permit refused = slow.acquire(start);
  CHECK((!refused.granted && refused.wait > 24h * 365 * 99));
  Limiter fast{{.permits_per_second = 1e12, .burst = 1}, start};
  CHECK(fast.acquire(start).granted);
  CHECK(fast.acquire(start).wait <= 2ns);
}

TEST_CASE("whatever the arrival times, a token bucket does what whole numbers say") {
  std::mt19937_64 random{42};
  for (int round = 0; round < 2000; ++round) {
    const std::int64_t interval = std::int64_t{1} << (random() % 31);  // nanoseconds a permit, exactly
    const auto burst = static_cast<std::int64_t>(1 + random() % 20);
    const auto queue = static_cast<std::int64_t>(random() % 4);
    token_bucket bucket{
        {1e9 / static_cast<double>(interval), static_cast<double>(burst), static_cast<std::size_t>(queue)}, start};
    time_point now = start;
    std::int64_t held = burst * interval;  // in nanoseconds of refilling
    for (int call = 0; call < 300; ++call) {
      const nanoseconds pause = random_ns(random, nanoseconds{interval * 2});
      now += pause;
      held = std::min(burst * interval, held + pause.count());
      const std::int64_t left = held - interval;
      const std::int64_t missing = -(left + queue * interval);
      const permit p = bucket.acquire(now);
      if (missing < -2 || missing > 2) REQUIRE(p.granted == (missing <= 0));
      if (p.granted) {
        REQUIRE(std::abs(p.wait.count() - std::max<std::int64_t>(0, -left)) <= 3);
        held = left;
      } else {
        REQUIRE(std::abs(p.wait.count() - missing) <= 3);
      }
      if (p.granted && p.wait > 10ns && random() % 4 == 0) {
        bucket.give_back(now + p.wait);
        held += interval;
      }
      REQUIRE(bucket.available(now) ==
              doctest::Approx(static_cast<double>(std::max<std::int64_t>(0, held)) / static_cast<double>(interval))
                  .epsilon(1e-6));
    }
  }
}

TEST_CASE("whatever the arrival times and who gives up, a sliding window never exceeds its burst in any window") {
  std::mt19937_64 random{43};
  for (int round = 0; round < 2000; ++round) {
    const std::size_t burst = 1 + random() % 12, queue = random() % 4;
    const double rate = 1 + static_cast<double>(random() % 1000);
    const nanoseconds window{static_cast<std::int64_t>(static_cast<double>(burst) / rate * 1e9)};
    sliding_window limiter{{rate, static_cast<double>(burst), queue}, start};
    time_point now = start;
    std::vector<time_point> used;  // all there ever were
    for (int call = 0; call < 200; ++call) {
      now += random_ns(random, window / static_cast<std::int64_t>(burst) * 2);
      const auto count_since = [&](time_point t) {
        return static_cast<std::size_t>(std::count_if(used.begin(), used.end(), [t](time_point u) { return u > t; }));
      };
      const std::size_t waiting = count_since(now);
      const bool free = waiting == 0 && count_since(now - window - 1ns) < burst;
      const permit p = limiter.acquire(now);
      REQUIRE(p.granted == (free || waiting < queue));
      REQUIRE((p.wait == 0ns) == free);
      if (!p.granted) continue;
      used.push_back(now + p.wait);
      if (p.wait > 0ns && random() % 3 == 0) {
        const std::size_t back = 1 + random() % (waiting + 1);  // any of those that wait
        const auto gone = used.end() - static_cast<std::ptrdiff_t>(back);
        limiter.give_back(*gone);
        used.erase(gone);
      }
    }
    for (std::size_t i = burst; i < used.size(); ++i) REQUIRE(used[i] - used[i - burst] >= window);
  }
}

TEST_CASE("the hash of keys is SipHash-2-4 of 128 bits") {
  // The authors' vectors: key 00 01 .. 0f, message 00 01 .. n-1; words as little-endian numbers.
  const key_hash seed{0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  std::string message;
  for (char c = 0; c < 15; ++c) message.push_back(c);
  CHECK(hash_key("", seed) == key_hash{0xe6a825ba047f81a3u, 0x930255c71472f66du});
  CHECK(hash_key(std::string(1, '\0'), seed) == key_hash{0x44af996bd8c187dau, 0x45fc229b11597634u});
  CHECK(hash_key(message, seed) == key_hash{0x11a8b03399e99354u, 0xd9c3cf970fec087eu});
}

TEST_CASE("a table never holds more keys than it may, and never forgets what a key has used up") {
  std::mt19937_64 random{44};
  for (int round = 0; round < 200; ++round) {
    const permit_rate rate{.permits_per_second = 10, .burst = 2};
    const std::size_t most = 1 + random() % 20;
    keyed_table<token_bucket> table{most};
    std::map<std::string, token_bucket> all;  // a table without bounds
    time_point now = start;
    for (int call = 0; call < 1000; ++call) {
      now += random_ns(random, 40ms);
      const std::string key = std::to_string(random() % 40);
      token_bucket* const found = table.find(key, now, [&] { return token_bucket{rate, now}; });
      REQUIRE(table.size() <= most);
      if (found == nullptr) {
        REQUIRE(table.size() == most);
        continue;
      }
      token_bucket& expected = all.try_emplace(key, rate, now).first->second;
      REQUIRE(found->acquire(now).granted == expected.acquire(now).granted);
    }
    REQUIRE(table.evictions() > 0);
  }
}

TEST_CASE("a key that is in use does not keep one that is idle in a full table") {
  const permit_rate rate{.permits_per_second = 1, .burst = 1};
  keyed_table<token_bucket> table{2};
  const auto make = [&] { return token_bucket{rate, start}; };
  for (const char* key : {"used", "idle"}) CHECK(table.find(key, start, make)->acquire(start).granted);
  CHECK(table.find("used", start + 1h, make)->acquire(start + 1h).granted);
  CHECK(table.find("new", start + 1h, make) != nullptr);
  CHECK_FALSE(table.find("used", start + 1h, make)->acquire(start + 1h).granted);
}

TEST_CASE(
    "a flood of keys, one mebibyte each or empty or binary, finds the table full and leaves what is there alone") {
  const permit_rate rate{.permits_per_second = 1, .burst = 1};
  keyed_table<token_bucket> table{100};
  const auto make = [&] { return token_bucket{rate, start}; };
  CHECK(table.find("victim", start, make)->acquire(start).granted);
  std::string key(1 << 20, 'x');
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    key.replace(0, 4, std::to_string(1000 + i));
    token_bucket* const found = table.find(i == 0 ? std::string_view{} : std::string_view{key}, start, make);
    if (found == nullptr) {
      ++refused;
    } else {
      static_cast<void>(found->acquire(start));
    }
  }
  CHECK(refused == 201);
  CHECK(table.size() == 100);
  CHECK_FALSE(table.find("victim", start, make)->acquire(start).granted);
  SUBCASE("and shrinks when it is over") {
    for (int i = 0; i < 60; ++i) {
      static_cast<void>(table.find(std::to_string(i), start + 1h + i * 2s, make)->acquire(start + 1h + i * 2s));
    }
    CHECK(table.size() < 60);
  }
}
