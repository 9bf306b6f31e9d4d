// SPDX-License-Identifier: MIT
#include <otlpkit/export/http_date.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>

using namespace std::chrono_literals;
using otlpkit::exporters::parse_http_date;
using otlpkit::exporters::parse_retry_after;

namespace {
constexpr std::chrono::sys_seconds example{784111777s};  // the moment RFC 9110 uses in its examples
}

TEST_CASE("the three forms of RFC 9110 mean the same moment") {
  CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == example);
  CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == example);
  CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == example);
}

TEST_CASE("two-digit years turn at 70") {
  CHECK(parse_http_date("Thursday, 01-Jan-70 00:00:00 GMT") == std::chrono::sys_seconds{0s});
  CHECK(parse_http_date("Tuesday, 01-Jan-69 00:00:00 GMT") == std::chrono::sys_days{std::chrono::year{2069} / 1 / 1});
}

TEST_CASE("leap days exist in leap years only") {
  CHECK(parse_http_date("Thu, 29 Feb 2024 00:00:00 GMT"));
  CHECK_FALSE(parse_http_date("Wed, 29 Feb 2023 00:00:00 GMT"));
  CHECK(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT"));
}

TEST_CASE("anything else is no date") {
  for (const char* text :
       {"", "Sun", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 0 :49:37 GMT", "1994-11-06T08:49:37Z", "Sun Nov 06 08:49:37 94"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_date(text));
  }
}

TEST_CASE("no proper front of a date is a date") {
  for (const std::string whole :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    for (std::size_t n = 0; n < whole.size(); ++n) CHECK_FALSE(parse_http_date(whole.substr(0, n)));
  }
}

TEST_CASE("Retry-After is seconds or a date") {
  const std::chrono::system_clock::time_point now{example};
  CHECK(parse_retry_after("120", now) == 120s);
  CHECK(parse_retry_after(" 0 ", now) == 0s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now) == 10s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now + 250ms) == 9750ms);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + 250ms) == 0s);
  CHECK(parse_retry_after("Fri, 01 Jan 1971 00:00:00 GMT", now) == 0s);
}

TEST_CASE("a Retry-After that is neither is ignored") {
  const std::chrono::system_clock::time_point now{example};
  for (const char* text : {"", " ", "-1", "1.5", "+3", "soon", "1 2", "0x10"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_retry_after(text, now));
  }
}

TEST_CASE("numbers beyond every clock are cut, not wrapped") {
  const std::chrono::system_clock::time_point now{example};
  CHECK(parse_retry_after(std::string(4000, '9'), now) > 24h * 365 * 200);
  CHECK(parse_retry_after("9223372036854775808", now) > 24h * 365 * 200);
  CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", now) > 24h * 365 * 200);
}
