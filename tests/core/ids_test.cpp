// SPDX-License-Identifier: MIT
#include <otlpkit/core/ids.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>

using namespace otlpkit;

TEST_CASE("ids are all zero until given, and then not valid") {
  CHECK_FALSE(trace_id{}.valid());
  CHECK_FALSE(span_id{}.valid());
  CHECK(trace_id{{0, 1}}.valid());
  CHECK(trace_id{{1, 0}}.valid());
  CHECK(span_id{1}.valid());
}

TEST_CASE("hexadecimal is lowercase and in the order of the bytes") {
  const unsigned char bytes[] = {0x00, 0x01, 0x0A, 0xF0, 0xFF, 0x9C, 0x80, 0x7F, 1, 2, 3, 4, 5, 6, 7, 8};
  trace_id trace;
  std::memcpy(&trace, bytes, sizeof trace);
  span_id id;
  std::memcpy(&id, bytes, sizeof id);
  const auto t = to_hex(trace);
  const auto s = to_hex(id);
  CHECK(std::string(t.text, sizeof t.text) == "00010af0ff9c807f0102030405060708");
  CHECK(std::string(s.text, sizeof s.text) == "00010af0ff9c807f");
}

TEST_CASE("the generator is xoshiro256++") {
  random_generator random{{1, 2, 3, 4}};
  for (const std::uint64_t expected : {41'943'041u, 58'720'359u}) CHECK(random.next() == expected);
  CHECK(random.next() == 3'588'806'011'781'223u);
  CHECK(random.next() == 3'591'011'842'654'386u);
  CHECK(random.next() == 9'228'616'714'210'784'205u);
}

TEST_CASE("generators seeded one after the other share nothing") {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    random_generator random{};
    random.seed();
    for (int n = 0; n < 100; ++n) seen.insert(random.next());
  }
  CHECK(seen.size() == 10'000);
  CHECK(seen.count(0) == 0);
}

TEST_CASE("every bit of an id is set about half of the time") {
  random_generator random{{7, 8, 9, 10}};
  int ones[64] = {};
  constexpr int rounds = 10'000;
  for (int i = 0; i < rounds; ++i) {
    const std::uint64_t word = random.next();
    for (unsigned bit = 0; bit < 64; ++bit) ones[bit] += static_cast<int>(word >> bit & 1);
  }
  for (const int n : ones) {
    CHECK(n > rounds / 2 - 300);  // six standard deviations
    CHECK(n < rounds / 2 + 300);
  }
}
