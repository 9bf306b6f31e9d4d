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

TEST_CASE("the generator is xoroshiro128++") {
  random_generator random{{1, 2}};  // the vector of its authors' reference code
  CHECK(random.next() == 393'217u);
  CHECK(random.next() == 669'327'710'093'319u);
  CHECK(random.next() == 1'732'421'326'133'921'491u);
  CHECK(random.next() == 11'394'790'081'659'126'983u);
  CHECK(random.next() == 9'555'452'776'773'192'676u);
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
  random_generator random{{7, 8}};
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
