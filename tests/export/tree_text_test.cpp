// SPDX-License-Identifier: MIT
#include <otlpkit/export/tree_line.hpp>
#include <otlpkit/export/tree_text.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace text = otlpkit::exporters::detail;
using namespace std::string_literals;

TEST_CASE("a bar stands where its time stands") {
  using text::bar;
  CHECK(bar(0, 100, 0, 100, 4) == "████");
  CHECK(bar(0, 50, 0, 100, 4) == "██  ");
  CHECK(bar(50, 100, 0, 100, 4) == "  ██");
  CHECK(bar(100, 100, 0, 100, 4) == "   ▐");
  CHECK(bar(0, 0, 0, 100, 4) == "▏   ");
  CHECK(bar(0, 0, 0, 0, 2) == "▏ ");
  std::mt19937_64 random{1};
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t a = random() % 1000, b = random() % 1000, c = random() % 1000, d = random() % 1000;
    const std::string drawn = bar(a, b, c, d, 20);
    REQUIRE(text::columns_of(drawn) == 20);
    REQUIRE(drawn != std::string(20, ' '));
  }
}

TEST_CASE("durations have three digits and a unit") {
  const auto duration = [](std::uint64_t ns) {
    std::string out;
    text::append_duration(out, ns);
    return out;
  };
  CHECK(duration(0) == "0 ns");
  CHECK(duration(999) == "999 ns");
  CHECK(duration(1000) == "1.00 µs");
  CHECK(duration(12'345) == "12.3 µs");
  CHECK(duration(999'499) == "999 µs");
  CHECK(duration(999'500) == "1.00 ms");
  CHECK(duration(99'960'000) == "100 ms");
  CHECK(duration(412'000'000) == "412 ms");
  CHECK(duration(1'250'000'000) == "1.25 s");
  CHECK(duration(125'000'000'000) == "2 m 05 s");
  CHECK(duration(std::numeric_limits<std::uint64_t>::max()).find(" m ") != std::string::npos);
}

TEST_CASE("text is fitted by columns, not by bytes or characters") {
  CHECK(text::fit("abc", 3) == "abc");
  CHECK(text::fit("abcd", 3) == "ab…");
  CHECK(text::fit("中文字", 6) == "中文字");
  CHECK(text::fit("中文字", 5) == "中文…");
  CHECK(text::fit("中文字", 4) == "中…");
  CHECK(text::fit("e\u0301e\u0301", 2) == "e\u0301e\u0301");  // combining marks take no column
  CHECK(text::fit("abc", 1) == "…");
  CHECK(text::fit("abc", 0) == "");
}

TEST_CASE("every control, bidi and invisible character is escaped, and nothing else is changed") {
  for (char32_t c = 0; c < 0x3000; ++c) {
    std::string utf;
    if (c < 0x80)
      utf = {static_cast<char>(c)};
    else if (c < 0x800)
      utf = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    else
      utf = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
             static_cast<char>(0x80 | (c & 63))};
    std::string out;
    text::append_text(out, utf);
    if (text::must_escape(c))
      CHECK(out[0] == '\\');
    else
      CHECK(out == utf);
  }
  for (const char32_t c : U"\n\x1B\x7F\x9B\xAD\u200B\u200F\u2028\u202E\u2066\uFEFF\U000E0041"s)
    CHECK(text::must_escape(c));
}

TEST_CASE("a share has one decimal while it is small") {
  const auto share = [](std::uint64_t part, std::uint64_t whole) {
    std::string out;
    text::append_share(out, part, whole);
    return out;
  };
  CHECK(share(3, 100) == "3.0%");
  CHECK(share(76, 100) == "76%");
  CHECK(share(100, 100) == "100%");
  CHECK(share(1, 0) == "0.0%");
}
