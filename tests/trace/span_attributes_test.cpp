// SPDX-License-Identifier: MIT
#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

using namespace otlpkit;
using otlpkit::testing::span_record;
using support::recording;
using value_type = value_view::type;

namespace shop {
enum class currency { euro, dollar };
const char* to_string(currency c) { return c == currency::euro ? "EUR" : "USD"; }
enum class shelf : std::int16_t { lowest = -3 };

struct money {
  std::int64_t cents;
};
std::map<std::string, std::int64_t> attribute_value(const money& m) { return {{"cents", m.cents}}; }
}  // namespace shop

namespace {

/// What one attribute comes out as.
template <class T>
otlpkit::testing::value recorded(const T& v) {
  recording spans;
  { span s{"op", {{"v", v}}}; }
  return spans.take_one().attributes["v"];
}

}  // namespace

TEST_CASE("attributes take every kind of value") {
  CHECK(recorded(true) == true);
  CHECK(recorded(false) == false);
  CHECK(recorded(42) == 42);
  CHECK(recorded(std::uint8_t{200}) == 200);
  CHECK(recorded(std::numeric_limits<std::int64_t>::min()) == std::numeric_limits<std::int64_t>::min());
  CHECK(recorded(std::uint64_t{INT64_MAX}) == INT64_MAX);
  CHECK(recorded(std::uint64_t{INT64_MAX} + 1) == "9223372036854775808");
  CHECK(recorded(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(recorded(0.5F) == 0.5);
  CHECK(recorded(-1e300) == -1e300);
  CHECK(recorded('x') == "x");
  CHECK(recorded("literal") == "literal");
  CHECK(recorded(std::string{"r\xC3\xBChrei"}) == "r\xC3\xBChrei");
  CHECK(recorded(std::string_view{}) == "");
  CHECK(recorded(shop::currency::euro) == "EUR");
  CHECK(recorded(shop::shelf::lowest) == -3);
  CHECK(recorded(std::optional<int>{7}) == 7);
}

TEST_CASE("what holds no value is recorded as the empty value") {
  const char* nothing = nullptr;
  CHECK(recorded(nullptr).kind() == value_type::empty);
  CHECK(recorded(nothing).kind() == value_type::empty);
  CHECK(recorded(std::optional<std::string>{}).kind() == value_type::empty);
}

TEST_CASE("bytes stay bytes, and so does text that is not UTF-8") {
  const unsigned char raw[] = {0, 0xFF, 0x80};
  const auto from_view = recorded(byte_view{raw, sizeof raw});
  CHECK(from_view.kind() == value_type::bytes);
  CHECK(from_view.as_string() == std::string{"\0\xFF\x80", 3});
  CHECK(recorded(std::vector<std::byte>{std::byte{1}}).kind() == value_type::bytes);
  CHECK(recorded(std::vector<unsigned char>{}).kind() == value_type::bytes);
  const auto text = recorded(std::string{"a\xFF"});
  CHECK(text.kind() == value_type::bytes);
  CHECK(text.as_string() == "a\xFF");
}

TEST_CASE("arrays and maps nest, also with values of a type of the user's") {
  const auto numbers = recorded(std::vector<std::vector<int>>{{1, 2}, {}});
  REQUIRE(numbers.elements().size() == 2);
  REQUIRE(numbers.elements()[0].elements().size() == 2);
  CHECK(numbers.elements()[0].elements()[1] == 2);
  CHECK(numbers.elements()[1].kind() == value_type::array);
  CHECK(numbers.elements()[1].elements().empty());

  const auto basket = recorded(std::map<std::string, std::vector<shop::money>>{{"", {}}, {"books", {{1999}, {500}}}});
  REQUIRE(basket.entries().size() == 2);
  CHECK(basket.entries()[0].first.empty());
  CHECK(basket.entries()[1].first == "books");
  const auto& books = basket.entries()[1].second;
  REQUIRE(books.elements().size() == 2);
  REQUIRE(books.elements()[0].entries().size() == 1);
  CHECK(books.elements()[0].entries()[0].second == 1999);

  const char* const names[] = {"a", "b"};
  const auto array = recorded(names);
  REQUIRE(array.elements().size() == 2);
  CHECK(array.elements()[1] == "b");
  CHECK(recorded(std::vector<bool>{true, false}).elements().size() == 2);
  CHECK(recorded(std::vector<std::optional<int>>{{}, 1}).elements()[0].kind() == value_type::empty);
}

TEST_CASE("setting an attribute again replaces it, whatever its kind was") {
  recording spans;
  {
    span s{"op", {{"a", 1}, {"b", "two"}, {"a", 3}}};
    s.set("b", 4.5);
    s.set({{"c", "see"}, {"a", true}});
    s.set(std::string{"b"}, "run time key");
  }
  const span_record r = spans.take_one();
  CHECK(r.attributes.size() == 3);
  CHECK(r.attributes["a"] == true);
  CHECK(r.attributes["b"] == "run time key");
  CHECK(r.attributes["c"] == "see");
  CHECK(r.dropped_attributes == 0);
}

TEST_CASE("an attribute without a key is dropped and counted") {
  recording spans;
  {
    span s{"op"};
    s.set(std::string_view{}, 1);
  }
  const span_record r = spans.take_one();
  CHECK(r.attributes.empty());
  CHECK(r.dropped_attributes == 1);
}

TEST_CASE("keys that differ in their invalid bytes alone are one key") {
  recording spans;
  {
    span s{"op"};
    s.set(std::string{"k\xFF"}, 1);
    s.set(std::string{"k\xFE"}, 2);
    s.set("k\xEF\xBF\xBD", 3);
  }
  const span_record r = spans.take_one();
  CHECK(r.attributes.size() == 1);
  CHECK(r.attributes["k\xEF\xBF\xBD"] == 3);
}
