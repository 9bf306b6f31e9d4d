// SPDX-License-Identifier: MIT
#pragma once

#include "cart/cart.hpp"
#include "shared/database.hpp"
#include "shared/shop.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace checkout {

/// So much of a product, at its price.
struct line {
  std::string product_id;
  std::int64_t quantity = 0;
  shop::money price;  ///< of one
};

/// What is ordered, each product once and by id, if there is enough of it: refused as "unknown_product" or
/// "stock_insufficient" otherwise. The products stay locked until the transaction ends.
[[nodiscard]] std::vector<line> validate_items(const std::vector<carts::cart_item>& items, shop::store& db);

/// Takes the lines out of stock, on behalf of an order.
void reserve(const std::string& order_id, const std::vector<line>& lines, shop::store& db);

/// Gives back what an order has reserved.
void release(const std::string& order_id, shop::store& db);

}  // namespace checkout
