// cart: a shopping cart kept in a shared cache, stock and prices from the database, and a metric with too many labels
// SPDX-License-Identifier: MIT
#include "shared/database.hpp"
#include "shared/scenario.hpp"
#include "shared/shared_cache.hpp"
#include "shared/shop.hpp"

#include <otlpkit/cache/traced_cache.hpp>
#include <otlpkit/otlpkit.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using shop::money;

struct cart_item {
  std::string product_id;
  std::int64_t quantity = 0;
};

struct cart {
  std::string user_id;
  std::vector<cart_item> items;
  money total;
};

struct product_price {
  std::string id;
  money price;
};

using cart_cache = otlpkit::cache::traced_cache<shop::shared_cache<cart>&>;

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

cart add_item(std::string_view user_id, const cart_item& item, shop::store& db, cart_cache& carts) {
  OTLPKIT_SPAN("cart.add_item", {"user_id", user_id}, {"product_id", item.product_id}, {"quantity", item.quantity});
  shop::check_id("user id", user_id);
  shop::check_id("product id", item.product_id);
  if (item.quantity < 1 || item.quantity > 999) {
    shop::refuse("invalid_quantity", "a quantity of " + std::to_string(item.quantity) + ": expected 1 to 999");
  }

  const auto stock = db.query_optional<std::int64_t>("SELECT stock FROM products WHERE id = $1", item.product_id);
  if (!stock) shop::refuse("unknown_product", "nobody sells " + item.product_id);
  const auto check_stock = [&](std::int64_t wanted) {
    if (wanted > *stock)
      shop::refuse("out_of_stock", std::to_string(wanted) + " wanted, " + std::to_string(*stock) + " there");
  };
  check_stock(item.quantity);

  cart mine = carts.get(user_id).value_or(cart{.user_id = std::string{user_id}, .items = {}, .total = {}});
  const auto same = std::find_if(mine.items.begin(), mine.items.end(),
                                 [&](const cart_item& i) { return i.product_id == item.product_id; });
  if (same == mine.items.end()) {
    mine.items.push_back(item);
  } else {
    same->quantity += item.quantity;
    check_stock(same->quantity);
  }
  mine.total = calculate_total(mine.items, db);
  carts.set(user_id, mine, 24h);

  OTLPKIT_COUNTER("cart.items_added").add();
  OTLPKIT_GAUGE("cart.size", {"user_id", user_id}).set(mine.items.size());
  return mine;
}

cart get_cart(std::string_view user_id, cart_cache& carts) {
  OTLPKIT_SPAN("cart.get", {"user_id", user_id});
  shop::check_id("user id", user_id);
  return carts.get(user_id).value_or(cart{.user_id = std::string{user_id}, .items = {}, .total = {}});
}

void clear_cart(std::string_view user_id, cart_cache& carts) {
  OTLPKIT_SPAN("cart.clear", {"user_id", user_id});
  shop::check_id("user id", user_id);
  carts.erase(user_id);
  OTLPKIT_GAUGE("cart.size", {"user_id", user_id}).set(0);
}

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "cart", {"out_of_stock", "unknown_product", "invalid_quantity", "cache_down"}};
  shop::database database;
  shop::store db = database.connect();
  shop::shared_cache<cart> shared{scenario.seed()};
  cart_cache carts{shared, {.name = "carts"}};  // a cart that cannot be saved is an error: nothing is tolerated

  const auto add = [&](std::string_view user, std::string product, std::int64_t quantity) {
    const cart c = add_item(user, {std::move(product), quantity}, db, carts);
    scenario.say(std::string{user} + " has " + std::to_string(c.items.size()) + " line(s) in the cart for " +
                 to_string(c.total));
    return c;
  };

  scenario.act("The first thing makes a cart",
               [&] { scenario.expect(add("u-1", "p-1001", 2).total.minor == 2 * 1290, "two cups' price"); });
  scenario.act("More of the same is merged, something else comes beside it", [&] {
    scenario.expect(add("u-1", "p-1001", 1).items.size() == 1, "one line");
    scenario.expect(add("u-1", "p-1002", 1).total.minor == 3 * 1290 + 3450, "the price of three cups and a pot");
  });
  scenario.act("Looking at the cart, then clearing it", [&] {
    scenario.expect(get_cart("u-1", carts).items.size() == 2, "two lines");
    clear_cart("u-1", carts);
    scenario.expect(get_cart("u-1", carts).items.empty(), "an empty cart");
  });
  scenario.fault("out_of_stock", "More than there is: at once, and together with what is in the cart already", [&] {
    scenario.expect_refused("out_of_stock", [&] { add("u-2", "p-1004", 1); });
    add("u-2", "p-1003", 2);
    scenario.expect_refused("out_of_stock", [&] { add("u-2", "p-1003", 2); });
  });
  scenario.fault("unknown_product", "A product nobody sells",
                 [&] { scenario.expect_refused("unknown_product", [&] { add("u-3", "p-9999", 1); }); });
  scenario.fault("invalid_quantity", "A negative quantity",
                 [&] { scenario.expect_refused("invalid_quantity", [&] { add("u-3", "p-1001", -1); }); });
  scenario.fault("cache_down", "The cache is down: a cart cannot do without, and says so", [&] {
    shared.take_down(true);
    try {
      add("u-4", "p-1001", 1);
      scenario.expect(false, "an error");
    } catch (const shop::cache_unavailable& e) {
      scenario.say(std::string{"failed: "} + e.what());
    }
    shared.take_down(false);
  });
  scenario.act(
      "5,000 more users: a metric labelled by user would grow without end, so the series over the limit share one",
      [&] {
        for (int i = 0; i < 5'000; ++i) OTLPKIT_GAUGE("cart.size", {"user_id", "flood-" + std::to_string(i)}).set(1);
      });
  return scenario.finish();
}
