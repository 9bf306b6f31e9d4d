// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

using namespace std::chrono_literals;

TEST_CASE("a deadline can only be shortened below, and goes with its scope") {
  CHECK_FALSE(otlpkit::time_left().has_value());
  CHECK(otlpkit::within_deadline(3h) == 3h);
  {
    const otlpkit::deadline_scope outer{1h};
    CHECK((*otlpkit::time_left() <= 1h && *otlpkit::time_left() > 59min));
    {
      const otlpkit::deadline_scope longer{5h};
      CHECK(*otlpkit::time_left() <= 1h);
      const otlpkit::deadline_scope shorter{1min};
      CHECK(*otlpkit::time_left() <= 1min);
      CHECK(otlpkit::within_deadline(1s) == 1s);
      CHECK(otlpkit::within_deadline(1h) <= 1min);
    }
    CHECK(*otlpkit::time_left() > 1min);
    std::thread{[] { CHECK_FALSE(otlpkit::time_left().has_value()); }}.join();
  }
  CHECK_FALSE(otlpkit::time_left().has_value());
}

TEST_CASE("a deadline of zero or less is over, and one too far to count is far") {
  const otlpkit::deadline_scope far{std::chrono::nanoseconds::max()};
  CHECK(*otlpkit::time_left() > 24h * 365 * 50);
  const otlpkit::deadline_scope over{-5s};
  CHECK(*otlpkit::time_left() == 0ns);
}

TEST_CASE("deadline and baggage are carried together") {
  const otlpkit::baggage_scope baggage{otlpkit::baggage{}.with("a", "1")};
  const otlpkit::deadline_scope deadline{1h};
  CHECK(otlpkit::current_baggage().get("a") == "1");
  const otlpkit::baggage_scope more{otlpkit::current_baggage().with("b", "2")};
  CHECK(otlpkit::time_left().has_value());
  const otlpkit::remote_scope remote{{{}, otlpkit::baggage{}.with("c", "3")}};
  CHECK((otlpkit::time_left().has_value() && otlpkit::current_baggage().size() == 1));
}
