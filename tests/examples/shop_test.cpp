// SPDX-License-Identifier: MIT
// links: example_shared
#include <shared/shop.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>

using shop::money;

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();

std::string refusal(auto&& call) {
  try {
    static_cast<void>(call());
  } catch (const shop::refused& no) {
    return std::string{no.type()};
  }
  return {};
}

}  // namespace

TEST_CASE("amounts print in major units, down to the smallest one there is") {
  CHECK(to_string(money{1290}) == "12.90 EUR");
  CHECK(to_string(money{-5, "USD"}) == "-0.05 USD");
  CHECK(to_string(money{least}) == "-92233720368547758.08 EUR");
}

TEST_CASE("an amount that does not fit is refused, the largest one that does is not") {
  CHECK(shop::times({most / 3}, 3).minor == most / 3 * 3);
  CHECK(refusal([] { return shop::times({most / 3 + 1}, 3); }) == "amount_overflow");
  CHECK(refusal([] { return shop::times({1}, -1); }) == "amount_overflow");
  CHECK(shop::times({most}, 0).minor == 0);
  CHECK(shop::plus({most - 1}, {1}).minor == most);
  CHECK(refusal([] { return shop::plus({most}, {1}); }) == "amount_overflow");
  CHECK(refusal([] { return shop::plus({least}, {-1}); }) == "amount_overflow");
  CHECK(refusal([] { return shop::plus({1, "EUR"}, {1, "USD"}); }) == "currency_mismatch");
}

TEST_CASE("ids are short and plain") {
  const auto check = [](const std::string& id) {
    return refusal([&] {
      shop::check_id("id", id);
      return 0;
    });
  };
  CHECK(check("p-1001_A").empty());
  CHECK(check(std::string(64, 'x')).empty());
  for (const std::string& bad :
       {std::string{}, std::string(65, 'x'), std::string{"a b"}, std::string{"a\0b", 3}, std::string{"\xC3\xA9"}}) {
    CHECK(check(bad) == "invalid_id");
  }
}
