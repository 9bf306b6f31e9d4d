// SPDX-License-Identifier: MIT
#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
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

struct broken {};
int attribute_value(const broken&) { throw std::runtime_error{"no value"}; }
enum class riddle { one, two };
std::string to_string(riddle r) {
  if (r == riddle::two) throw std::runtime_error{"no name"};
  return "an answer that is too long for the small string optimisation";
}
struct text_or_not {
  bool good;
  operator std::string_view() const { return good ? "good" : throw std::runtime_error{"no text"}; }
};
struct endless {  // fails on the way
  struct iterator {
    int at;
    int operator*() const { return at; }
    iterator& operator++() { return ++at < 3 ? *this : throw std::runtime_error{"no more"}; }
    bool operator!=(const iterator&) const { return true; }
  };
  iterator begin() const { return {0}; }
  iterator end() const { return {0}; }
};
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

TEST_CASE("a value whose conversion throws is dropped and counted, and reported once") {
  CHECK(recorded(shop::riddle::one) == "an answer that is too long for the small string optimisation");
  CHECK(recorded(shop::text_or_not{true}) == "good");
  static int reports = 0;
  const diagnostic_callback before = on_diagnostic([](diagnostic_level, std::string_view) { ++reports; });
  recording spans;
  {
    span s{"op", {{"broken", shop::broken{}}, {"kept", 1}}};
    s.set("riddle", shop::riddle::two);
    s.set("text", shop::text_or_not{false});
    s.set("list", shop::endless{});
    s.set("nested", std::vector<std::vector<shop::broken>>(2, std::vector<shop::broken>(1)));
    s.event("event", {{"broken", shop::broken{}}, {"kept", 2}});
  }
  on_diagnostic(before);
  const span_record r = spans.take_one();
  CHECK(r.attributes.size() == 1);
  CHECK(r.attributes["kept"] == 1);
  CHECK(r.dropped_attributes == 5);
  REQUIRE(r.events.size() == 1);
  CHECK(r.events[0].attributes.size() == 1);
  CHECK(r.events[0].dropped_attributes == 1);
  CHECK(reports == 1);
}

TEST_CASE("text of every length is the same as attribute, event and key, in ASCII and beyond") {
  for (std::size_t size = 0; size < 150; ++size) {
    CAPTURE(size);
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('!' + i % 90);
    const std::string mixed = text + "\xC3\xBC" + text;
    recording spans;
    {
      span_guard parent{"parent"};
      span_guard s{"child", {{"ascii", text}, {"mixed", mixed}, {"size", size}}};
      s.set(std::string_view{text}, 1);
      s.event("event", {{"ascii", text}, {"half", 0.5}});
      s.event(text, {{"mixed", mixed}, {"twice", 1}, {"twice", 2}});
    }
    const std::vector<span_record> all = spans.take();
    REQUIRE(all.size() == 2);
    const span_record& r = all[0];
    CHECK(r.attributes.size() == (size == 0 ? 3u : 4u));
    CHECK(r.attributes["ascii"] == text);
    CHECK(r.attributes["mixed"] == mixed);
    CHECK(r.attributes["size"] == size);
    if (size != 0) CHECK(r.attributes[text] == 1);
    REQUIRE(r.events.size() == 2);
    CHECK(r.events[0].name == "event");
    CHECK(r.events[0].attributes["ascii"] == text);
    CHECK(r.events[0].attributes["half"] == 0.5);
    CHECK(r.events[1].name == text);
    CHECK(r.events[1].attributes["mixed"] == mixed);
    CHECK(r.events[1].attributes.size() == 2);
    CHECK(r.events[1].attributes["twice"] == 2);
  }
}

TEST_CASE("invalid text of every length is bytes as an attribute and repaired as an event's name") {
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string text = std::string(size, 'a') + '\xFF';
    recording spans;
    {
      span_guard parent{"parent"};
      span_guard s{"child", {{"v", text}}};
      s.event(text);
    }
    const std::vector<span_record> all = spans.take();
    REQUIRE(all.size() == 2);
    CHECK(all[0].attributes["v"].kind() == value_type::bytes);
    REQUIRE(all[0].events.size() == 1);
    CHECK(all[0].events[0].name == std::string(size, 'a') + "\xEF\xBF\xBD");
  }
}

TEST_CASE("children of every size decode, and say what they dropped") {
  recording spans{{.limits = {.attributes = 1}}};
  for (std::size_t size = 0; size < 120; ++size) {
    {
      span_guard parent{"parent"};
      span_guard s{"child", {{"v", std::string(size, 'v')}}};
      if (size % 2 == 1) s.set("w", 1);
    }
    const std::vector<span_record> all = spans.take();
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "child");
    CHECK(all[0].attributes["v"] == std::string(size, 'v'));
    CHECK(all[0].dropped_attributes == size % 2);
  }
}

TEST_CASE("integers of every length come out as they went in") {
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::int64_t off : {-1, 0, 1}) {
      const auto v = static_cast<std::int64_t>(std::uint64_t{1} << bits) + (bits == 63 && off < 0 ? 0 : off);
      CHECK(recorded(v) == v);
    }
  }
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
