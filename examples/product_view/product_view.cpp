// SPDX-License-Identifier: MIT
#include "product_view/product_view.hpp"

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/trace/detached.hpp>

#include <chrono>
#include <string>

using namespace std::chrono_literals;
using shop::product;

namespace product_page {

namespace {

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>{std::chrono::steady_clock::now() - start}.count();
}

}  // namespace

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
  background.post(otlpkit::detached("product.increment_views", [id = std::string{id}](shop::store_pool& own) {
    own.acquire()->execute("UPDATE products SET view_count = view_count + 1 WHERE id = $1", id);
  }));
  OTLPKIT_COUNTER("product.views", {"source", "database"}).add();
  return *found;
}

}  // namespace product_page
