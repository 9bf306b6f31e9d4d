// SPDX-License-Identifier: MIT
#include "shared/shop.hpp"

#include <algorithm>
#include <cstdio>

namespace shop {

std::string to_string(const money& amount) {
  char text[40];
  const bool negative = amount.minor < 0;
  const std::uint64_t value =
      negative ? 0 - static_cast<std::uint64_t>(amount.minor) : static_cast<std::uint64_t>(amount.minor);
  std::snprintf(text, sizeof text, "%s%llu.%02llu ", negative ? "-" : "", static_cast<unsigned long long>(value / 100),
                static_cast<unsigned long long>(value % 100));
  return text + amount.currency;
}

void refuse(const char* type, const std::string& message) {
  OTLPKIT_FAIL(type, message);
  throw refused{type, message};
}

void check_id(std::string_view what, std::string_view id) {
  const bool fits = !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
  if (!fits) {
    refuse("invalid_id", std::string{what} + " of " + std::to_string(id.size()) +
                             " characters: expected 1 to 64 letters, digits, '-' and '_'");
  }
}

money times(const money& price, std::int64_t quantity) {
  money product{0, price.currency};
  if (__builtin_mul_overflow(price.minor, quantity, &product.minor)) {
    refuse("amount_overflow",
           to_string(price) + " times " + std::to_string(quantity) + " is more than an amount can hold");
  }
  return product;
}

money plus(const money& sum, const money& amount) {
  if (sum.currency != amount.currency)
    refuse("currency_mismatch", sum.currency + " and " + amount.currency + " in one sum");
  money total{0, sum.currency};
  if (__builtin_add_overflow(sum.minor, amount.minor, &total.minor)) {
    refuse("amount_overflow", to_string(sum) + " plus " + to_string(amount) + " is more than an amount can hold");
  }
  return total;
}

}  // namespace shop
