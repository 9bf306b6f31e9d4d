// cart: a shopping cart kept in a shared cache, stock and prices from the database, and a metric with too many labels
// SPDX-License-Identifier: MIT
#include "cart/cart.hpp"
#include "shared/scenario.hpp"

#include <otlpkit/otlpkit.hpp>

#include <cstdint>
#include <string>
#include <string_view>

using carts::cart;

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "cart"};
  shop::database database;
  shop::store db = database.connect();
  shop::shared_cache<cart> shared{scenario.seed()};
  carts::cart_cache kept{shared, {.name = "carts"}};  // a cart that cannot be saved is an error: nothing is tolerated

  const auto add = [&](std::string_view user, std::string product, std::int64_t quantity) {
    const cart c = carts::add_item(user, {std::move(product), quantity}, db, kept);
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
    scenario.expect(carts::get("u-1", kept).items.size() == 2, "two lines");
    carts::clear("u-1", kept);
    scenario.expect(carts::get("u-1", kept).items.empty(), "an empty cart");
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
    scenario.expect_failure<shop::cache_unavailable>([&] { add("u-4", "p-1001", 1); });
    shared.take_down(false);
  });
  scenario.act(
      "5,000 more users: a metric labelled by user would grow without end, so the series over the limit share one",
      [&] {
        for (int i = 0; i < 5'000; ++i) OTLPKIT_GAUGE("cart.size", {"user_id", "flood-" + std::to_string(i)}).set(1);
      });
  return scenario.finish();
}
