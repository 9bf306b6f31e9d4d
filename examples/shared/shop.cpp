// SPDX-License-Identifier: MIT
#include "shared/shop.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>

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
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (price.minor < 0 || quantity < 0 || (quantity != 0 && price.minor > most / quantity)) {
    refuse("amount_overflow", to_string(price) + " times " + std::to_string(quantity) + " is no amount");
  }
  return {price.minor * quantity, price.currency};
}

money plus(const money& sum, const money& amount) {
  if (sum.currency != amount.currency)
    refuse("currency_mismatch", sum.currency + " and " + amount.currency + " in one sum");
  using limits = std::numeric_limits<std::int64_t>;
  if (amount.minor > 0 ? sum.minor > limits::max() - amount.minor : sum.minor < limits::min() - amount.minor) {
    refuse("amount_overflow", to_string(sum) + " plus " + to_string(amount) + " is more than an amount can hold");
  }
  return {sum.minor + amount.minor, sum.currency};
}

}  // namespace shop
