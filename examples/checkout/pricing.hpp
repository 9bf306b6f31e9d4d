// SPDX-License-Identifier: MIT
#pragma once

#include "checkout/inventory.hpp"

namespace checkout {

struct user {
  std::string id;
  std::string status;  ///< "active" or "suspended"
  std::string tier;    ///< "standard" or "gold"
};

/// What the lines cost this user: less by the coupon, then by what the tier gets.
[[nodiscard]] shop::money calculate_price(const user& buyer, const std::vector<line>& lines, shop::store& db);

}  // namespace checkout
