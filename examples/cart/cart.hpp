// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/json.hpp"
#include "shared/shared_cache.hpp"
#include "shared/shop.hpp"

#include <otlpkit/cache/traced_cache.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace carts {

struct cart_item {
  std::string product_id;
  std::int64_t quantity = 0;
};

struct cart {
  std::string user_id;
  std::vector<cart_item> items;
  shop::money total;
};

BOOST_DESCRIBE_STRUCT(cart_item, (), (product_id, quantity))
BOOST_DESCRIBE_STRUCT(cart, (), (user_id, items, total))

using cart_cache = otlpkit::cache::traced_cache<shop::shared_cache<cart>&>;

/// Ids as ids are, and 1 to 999 of it: anything else is refused as "invalid_id" or "invalid_quantity".
void check(const cart_item& item);

/// Puts something into the user's cart, which is made if there is none, and returns it.
cart add_item(std::string_view user_id, const cart_item& item, shop::store& db, cart_cache& kept);
/// The cart as it is; empty if there is none.
[[nodiscard]] cart get(std::string_view user_id, cart_cache& kept);
void clear(std::string_view user_id, cart_cache& kept);

}  // namespace carts
