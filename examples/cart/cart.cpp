// SPDX-License-Identifier: MIT
#include "cart/cart.hpp"

#include <otlpkit/otlpkit.hpp>

#include <algorithm>
#include <chrono>

using namespace std::chrono_literals;
using shop::money;

namespace carts {
namespace {

struct product_price {
  std::string id;
  money price;
};

/// One query for the prices of everything in the cart.
money calculate_total(const std::vector<cart_item>& items, shop::store& db) {
  OTLPKIT_SPAN("cart.calculate_total", {"item_count", items.size()});
  std::vector<otlpkit::db::parameter> ids;
  for (const cart_item& item : items) ids.emplace_back(item.product_id);
  const auto prices = db.query<product_price>(
      "SELECT id, price, currency FROM products WHERE id IN (" + otlpkit::db::placeholders(ids.size()) + ")", ids);

  money total;
  for (const cart_item& item : items) {
    const auto found =
        std::find_if(prices.begin(), prices.end(), [&](const product_price& p) { return p.id == item.product_id; });
    if (found == prices.end()) shop::refuse("unknown_product", item.product_id + " is no longer sold");
    total = plus(total, times(found->price, item.quantity));
  }
  return total;
}

cart load_or_create(std::string_view user_id, cart_cache& kept) {
  return kept.get(user_id).value_or(cart{.user_id = std::string{user_id}, .items = {}, .total = {}});
}

}  // namespace

void check(const cart_item& item) {
  shop::check_id("product id", item.product_id);
  if (item.quantity < 1 || item.quantity > 999) {
    shop::refuse("invalid_quantity", "a quantity of " + std::to_string(item.quantity) + ": expected 1 to 999");
  }
}

cart add_item(std::string_view user_id, const cart_item& item, shop::store& db, cart_cache& kept) {
  OTLPKIT_SPAN("cart.add_item", {"user_id", user_id}, {"product_id", item.product_id}, {"quantity", item.quantity});
  shop::check_id("user id", user_id);
  check(item);

  const auto stock = db.query_optional<std::int64_t>("SELECT stock FROM products WHERE id = $1", item.product_id);
  if (!stock) shop::refuse("unknown_product", "nobody sells " + item.product_id);
  const auto check_stock = [&](std::int64_t wanted) {
    if (wanted > *stock)
      shop::refuse("out_of_stock", std::to_string(wanted) + " wanted, " + std::to_string(*stock) + " there");
  };
  check_stock(item.quantity);

  cart mine = load_or_create(user_id, kept);
  const auto same = std::find_if(mine.items.begin(), mine.items.end(),
                                 [&](const cart_item& i) { return i.product_id == item.product_id; });
  if (same == mine.items.end()) {
    mine.items.push_back(item);
  } else {
    same->quantity += item.quantity;
    check_stock(same->quantity);
  }
  mine.total = calculate_total(mine.items, db);
  kept.set(user_id, mine, 24h);

  OTLPKIT_COUNTER("cart.items_added").add();
  OTLPKIT_GAUGE("cart.size", {"user_id", user_id}).set(mine.items.size());
  return mine;
}

cart get(std::string_view user_id, cart_cache& kept) {
  OTLPKIT_SPAN("cart.get", {"user_id", user_id});
  shop::check_id("user id", user_id);
  return load_or_create(user_id, kept);
}

void clear(std::string_view user_id, cart_cache& kept) {
  OTLPKIT_SPAN("cart.clear", {"user_id", user_id});
  shop::check_id("user id", user_id);
  kept.erase(user_id);
  OTLPKIT_GAUGE("cart.size", {"user_id", user_id}).set(0);
}

}  // namespace carts
