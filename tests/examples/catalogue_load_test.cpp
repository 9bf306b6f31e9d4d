// SPDX-License-Identifier: MIT
// links: scenario_product_view scenario_cart
#include <examples/load_recording.hpp>

#include "cart/cart.hpp"
#include "product_view/product_view.hpp"
#include "shared/load.hpp"
#include "shared/untraced.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>

TEST_CASE(
    "16 clients look at products while the cache is cleared, and goes down: every view is counted where it belongs") {
  constexpr int clients = 16, views = 200;
  load_recording telemetry;
  shop::database database;
  shop::shared_cache<shop::product> shared{1};
  product_page::product_cache cache{shared, {.name = "products", .tolerate_errors = true}};
  std::atomic<std::int64_t> unknown{0};
  {
    shop::worker background{database};
    const auto thrown = shop::at_once(clients, [&](int client) {
      shop::store db = database.connect();
      std::mt19937_64 random{static_cast<std::uint64_t>(client)};
      for (int i = 0; i < views; ++i) {
        if (client == 0 && i == views / 2) shared.take_down(true);
        if (client == 0 && i == views - 20) shared.take_down(false);
        const std::string id = "p-100" + std::to_string(1 + random() % 5);  // p-1005 is none
        if (random() % 10 == 0) cache.erase(id);
        try {
          if (product_page::view_product(id, db, cache, background).id != id) FAIL_CHECK("another product");
        } catch (const shop::refused&) {
          ++unknown;
        }
      }
    });
    for (const auto& e : thrown) FAIL_CHECK(shop::message_of(e));
  }  // the worker does what is left
  shop::store db = database.connect();
  std::int64_t counted = 0;
  {
    const shop::untraced not_shown;
    counted = db.query_one<std::int64_t>("SELECT CAST(SUM(view_count) AS BIGINT) FROM products");
  }
  telemetry.finish();

  CHECK(telemetry.sum("product.views", "source", "database") == counted);
  CHECK(telemetry.sum("product.views") + unknown == clients * views);
  CHECK(telemetry.sum("product.views", "source", "cache") > 0);
  CHECK(unknown > 0);
  CHECK(telemetry.spans("product.view") == clients * views);
  CHECK(telemetry.spans("product.increment_views") == static_cast<std::size_t>(counted));
  CHECK(telemetry.spans("product.view", true) == static_cast<std::size_t>(unknown));
  CHECK(telemetry.unclear() == "");
}

TEST_CASE(
    "16 clients fill their carts while stock is limited and the cache fails: every success is counted, every failure "
    "has one cause") {
  constexpr int clients = 16, adds = 100;
  load_recording telemetry;
  shop::database database;
  shop::shared_cache<carts::cart> shared{1};
  carts::cart_cache kept{shared, {.name = "carts"}};
  std::atomic<std::int64_t> added{0}, failed{0}, wrong{0};
  const auto thrown = shop::at_once(clients, [&](int client) {
    shop::store db = database.connect();
    const std::string user = "u-load-" + std::to_string(client);
    std::mt19937_64 random{static_cast<std::uint64_t>(client)};
    std::int64_t cups = 0;
    for (int i = 0; i < adds; ++i) {
      if (client == 0 && i == adds / 2) shared.take_down(true);
      if (client == 0 && i == adds / 2 + 10) shared.take_down(false);
      const std::int64_t quantity = 1 + static_cast<std::int64_t>(random() % 3);
      try {
        const carts::cart mine = carts::add_item(user, {"p-1001", quantity}, db, kept);
        ++added;
        cups += quantity;
        wrong += mine.total.minor == cups * 1290 && mine.items.size() == 1 ? 0 : 1;
      } catch (const shop::refused& no) {  // there are 40
        ++failed;
        wrong += no.type() == "out_of_stock" && cups + quantity > 40 ? 0 : 1;
      } catch (const shop::cache_unavailable&) {
        ++failed;
      }
    }
  });
  for (const auto& e : thrown) FAIL_CHECK(shop::message_of(e));
  for (int client = 0; client < clients / 2; ++client) carts::clear("u-load-" + std::to_string(client), kept);
  telemetry.finish();

  CHECK(telemetry.sum("cart.size") == clients / 2);  // a line in each cart that is left
  CHECK(wrong == 0);
  CHECK(added + failed == clients * adds);
  CHECK(telemetry.sum("cart.items_added") == added);
  CHECK(telemetry.spans("cart.add_item", true) == static_cast<std::size_t>(failed));
  CHECK(telemetry.failures() == static_cast<std::size_t>(failed));
  CHECK(telemetry.unclear() == "");
}
