// SPDX-License-Identifier: MIT
#include <otlpkit/core/utf8.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

namespace utf8 = otlpkit::utf8;
using namespace std::string_literals;

namespace {

/// The definition itself (Unicode 15, table 3-7), written as differently from the library as possible.
bool valid_by_table(std::string_view s) {
  struct row {
    int low[4], high[4], length;
  };
  static constexpr row table[] = {
      {{0x00}, {0x7F}, 1},
      {{0xC2, 0x80}, {0xDF, 0xBF}, 2},
      {{0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}, 3},
      {{0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}, 3},
      {{0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}, 3},
      {{0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}, 3},
      {{0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}, 4},
      {{0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}, 4},
      {{0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}, 4},
  };
  while (!s.empty()) {
    bool matched = false;
    for (const row& r : table) {
      bool fits = s.size() >= static_cast<std::size_t>(r.length);
      for (int i = 0; fits && i < r.length; ++i) {
        const int byte = static_cast<unsigned char>(s[static_cast<std::size_t>(i)]);
        fits = byte >= r.low[i] && byte <= r.high[i];
      }
      if (fits) {
        s.remove_prefix(static_cast<std::size_t>(r.length));
        matched = true;
        break;
      }
    }
    if (!matched) return false;
  }
  return true;
}

std::string sanitized(std::string_view s) {
  std::vector<char> room(3 * s.size() + 1, '#');
  char* end = utf8::sanitize(s, room.data());
  REQUIRE(end <= room.data() + 3 * s.size());
  REQUIRE(room.back() == '#');
  return {room.data(), end};
}

/// Bytes that look like UTF-8 often enough to reach every branch.
std::string random_text(std::mt19937_64& random, std::size_t most) {
  static const std::string pieces[] = {"a",
                                       "plain ascii text of some length",
                                       "é",
                                       "€",
                                       "\xF0\x9F\x98\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "\xC0\x80",
                                       "\xE0\x80\x80",
                                       "\xED\xA0\x80",
                                       "\xF4\x90\x80\x80",
                                       "\xFF",
                                       "\x80",
                                       "\xE2\x82",
                                       "\xF0\x9F\x98",
                                       "\xC3"};
  std::string out;
  while (out.size() < most) {
    if (random() % 8 == 0)
      out.push_back(static_cast<char>(random()));
    else
      out += pieces[random() % (sizeof pieces / sizeof *pieces)];
    if (random() % 6 == 0) break;
  }
  return out;
}

}  // namespace

static_assert(utf8::is_valid("compile time: \xE2\x82\xAC"));
static_assert(!utf8::is_valid("overlong: \xC0\x80"));

TEST_CASE("well-formed text is valid, at every border of the encoding") {
  for (const std::string& good : {""s, "a"s, "\0"s, "\x7F"s, "\xC2\x80"s, "\xDF\xBF"s, "\xE0\xA0\x80"s, "\xED\x9F\xBF"s,
                                  "\xEE\x80\x80"s, "\xEF\xBF\xBF"s, "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s}) {
    CAPTURE(good);
    CHECK(utf8::is_valid(good));
    CHECK(utf8::is_valid("12345678" + good + "12345678"));
  }
}

TEST_CASE("overlong forms, surrogates, too large code points and cut sequences are not valid") {
  for (const std::string& bad : {"\x80"s, "\xBF"s, "\xC0\x80"s, "\xC1\xBF"s, "\xE0\x9F\xBF"s, "\xED\xA0\x80"s,
                                 "\xED\xBF\xBF"s, "\xF0\x8F\xBF\xBF"s, "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s,
                                 "\xFF"s, "\xC3"s, "\xE2\x82"s, "\xF0\x9F\x98"s, "\xE2\x28\xA1"s}) {
    CAPTURE(bad);
    CHECK_FALSE(utf8::is_valid(bad));
    CHECK_FALSE(utf8::is_valid("12345678" + bad));
    CHECK_FALSE(utf8::is_valid(bad + "12345678"));
  }
}

TEST_CASE("one bad byte is found at every position of a long text") {
  for (std::size_t size = 1; size < 40; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      std::string text(size, 'x');
      text[at] = '\xFF';
      CHECK(utf8::valid_prefix(text) == at);
    }
  }
}

TEST_CASE("every two-byte text and many random ones are judged as the Unicode table does") {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b)};
      if (utf8::is_valid(text) != valid_by_table(text)) FAIL("differs at ", a, " ", b);
    }
  }
  std::mt19937_64 random{1};
  for (int i = 0; i < 200'000; ++i) {
    const std::string text = random_text(random, 60);
    if (utf8::is_valid(text) != valid_by_table(text)) FAIL("differs in round ", i);
  }
}

TEST_CASE("sanitizing puts one U+FFFD for each part that cannot begin a character") {
  CHECK(sanitized("") == "");
  CHECK(sanitized("ok €") == "ok €");
  CHECK(sanitized("a\xFF"s + "b") == "a\uFFFDb");
  CHECK(sanitized("\xE2\x82"s) == "\uFFFD");
  CHECK(sanitized("\xE2\x82x"s) == "\uFFFDx");
  CHECK(sanitized("\xED\xA0\x80"s) == "\uFFFD\uFFFD\uFFFD");  // the example of Unicode 15, table 3-9
  CHECK(sanitized("\xF0\x80\x80"s) == "\uFFFD\uFFFD\uFFFD");
}

TEST_CASE("whatever comes, sanitized text is valid, and valid text is left alone") {
  std::mt19937_64 random{2};
  for (int i = 0; i < 50'000; ++i) {
    const std::string text = random_text(random, 80);
    const std::string clean = sanitized(text);
    if (!utf8::is_valid(clean)) FAIL("round ", i);
    if (utf8::is_valid(text) && clean != text) FAIL("round ", i);
  }
}

TEST_CASE("truncating counts code points and never splits one") {
  CHECK(utf8::truncate("abc", 5) == "abc");
  CHECK(utf8::truncate("abc", 2) == "ab");
  CHECK(utf8::truncate("a€b", 2) == "a€");
  CHECK(utf8::truncate("€€", 0) == "");
  CHECK(utf8::truncate("\xFF\xFF\xFF", 2) == "\xFF\xFF");
  CHECK(utf8::count("a€\xF0\x9F\x98\x80") == 3);
}

TEST_CASE("whatever comes, a truncated text is a prefix of the right size that is valid when the text is") {
  std::mt19937_64 random{3};
  for (int i = 0; i < 50'000; ++i) {
    const std::string text = random_text(random, 60);
    const std::size_t most = random() % 30;
    const std::string_view points = utf8::truncate(text, most);
    const std::string_view bytes = utf8::truncate_bytes(text, most);
    REQUIRE(text.starts_with(points));
    REQUIRE(text.starts_with(bytes));
    REQUIRE(utf8::count(points) == std::min(most, utf8::count(text)));
    REQUIRE(bytes.size() <= most);
    if (utf8::is_valid(text)) {
      REQUIRE(utf8::is_valid(points));
      REQUIRE(utf8::is_valid(bytes));
      REQUIRE(bytes.size() + 4 > std::min(most, text.size()));
    }
  }
}
