// SPDX-License-Identifier: MIT
#include <otlpkit/export/trouble_log.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

using namespace std::chrono_literals;
using otlpkit::exporters::trouble_log;

namespace {
const trouble_log::clock::time_point start{1000s};
}

TEST_CASE("a kind of trouble is told once per interval, with what was held back since") {
  trouble_log log{30s};
  CHECK(log.admit("503", start, 5));
  CHECK_FALSE(log.admit("503", start + 1s, 7));
  CHECK_FALSE(log.admit("503", start + 29s, 8));
  const auto held = log.admit("503", start + 30s, 9);
  REQUIRE(held);
  CHECK(held->times == 2);
  CHECK(held->items == 15);
  const auto next = log.admit("503", start + 60s);
  REQUIRE(next);
  CHECK(next->times == 0);
  CHECK(next->items == 0);
}

TEST_CASE("kinds do not hold each other back") {
  trouble_log log{30s};
  CHECK(log.admit("503", start));
  CHECK(log.admit("connect", start));
  CHECK_FALSE(log.admit("connect", start));
}

TEST_CASE("beyond its few kinds the oldest is forgotten") {
  trouble_log log{1h};
  for (std::size_t i = 0; i <= trouble_log::kinds; ++i)
    CHECK(log.admit(std::to_string(i), start + std::chrono::seconds{i}));
  CHECK_FALSE(log.admit(std::to_string(trouble_log::kinds), start + 100s));
  CHECK(log.admit("0", start + 100s));
}
