// product_view: a product page out of a shared cache, with the database behind it and a view counter nobody waits for
// SPDX-License-Identifier: MIT
#include "shared/database.hpp"
#include "shared/scenario.hpp"
#include "shared/shared_cache.hpp"
#include "shared/shop.hpp"
#include "shared/worker.hpp"

#include <otlpkit/cache/traced_cache.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/trace/detached.hpp>

#include <chrono>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using shop::product;

using product_cache = otlpkit::cache::traced_cache<shop::shared_cache<product>&>;

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>{std::chrono::steady_clock::now() - start}.count();
}

product view_product(std::string_view id, shop::store& db, product_cache& cache, shop::worker& background) {
  OTLPKIT_SPAN("product.view", {"product_id", id});
  shop::check_id("product id", id);

  if (auto hit = cache.get(id)) {
    OTLPKIT_RECORD("cache_hit", true);
    OTLPKIT_COUNTER("product.views", {"source", "cache"}).add();
    return *hit;
  }
  OTLPKIT_RECORD("cache_hit", false);

  const auto start = std::chrono::steady_clock::now();
  const auto found =
      db.query_optional<product>("SELECT id, name, price, currency, stock FROM products WHERE id = $1", id);
  OTLPKIT_RECORD("db_query_time_ms", milliseconds_since(start));
  if (!found) shop::refuse("unknown_product", "nobody sells " + std::string{id});

  cache.set(id, *found, 1h);
  background.post(otlpkit::detached("product.increment_views", [id = std::string{id}](shop::store& own) {
    own.execute("UPDATE products SET view_count = view_count + 1 WHERE id = $1", id);
  }));
  OTLPKIT_COUNTER("product.views", {"source", "database"}).add();
  return *found;
}

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "product_view", {"unknown_product", "invalid_id", "cache_down"}};
  shop::database database;
  shop::store db = database.connect();
  shop::shared_cache<product> shared{scenario.seed()};
  product_cache cache{shared, {.name = "products", .tolerate_errors = true}};
  shop::worker background{database};

  const auto view = [&](std::string_view id) {
    const product p = view_product(id, db, cache, background);
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
