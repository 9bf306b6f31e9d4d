// product_view: a product page out of a shared cache, with the database behind it and a view counter nobody waits for
// SPDX-License-Identifier: MIT
#include "product_view/product_view.hpp"
#include "shared/scenario.hpp"

#include <string>
#include <string_view>

using shop::product;

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "product_view"};
  shop::database database;
  shop::store db = database.connect();
  shop::shared_cache<product> shared{scenario.seed()};
  product_page::product_cache cache{shared, {.name = "products", .tolerate_errors = true}};
  shop::worker background{database};

  const auto view = [&](std::string_view id) {
    const product p = product_page::view_product(id, db, cache, background);
    background.drain();  // only so that the trace is whole when it is printed
    scenario.say(p.name + ", " + to_string(p.price) + ", " + std::to_string(p.stock) + " in stock");
    return p;
  };

  scenario.act("The first view finds nothing in the cache: it reads the database and fills the cache",
               [&] { scenario.expect(view("p-1001").price.minor == 1290, "the price of the cup"); });
  scenario.act("The second view is a hit", [&] { scenario.expect(view("p-1001").id == "p-1001", "the cup"); });
  scenario.fault("unknown_product", "A product nobody sells",
                 [&] { scenario.expect_refused("unknown_product", [&] { view("p-9999"); }); });
  scenario.fault("invalid_id", "An id that cannot be one never reaches cache or database",
                 [&] { scenario.expect_refused("invalid_id", [&] { view("p-1001' OR 1=1 --"); }); });
  scenario.fault("cache_down",
                 "The cache is down: its errors are on its own spans, and the page comes from the database", [&] {
                   shared.take_down(true);
                   scenario.expect(view("p-1002").name == "Moka pot", "the pot, cache or not");
                   shared.take_down(false);
                 });
  return scenario.finish();
}
