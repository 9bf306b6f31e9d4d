// SPDX-License-Identifier: MIT
#include "checkout/inventory.hpp"

#include "shared/new_id.hpp"

#include <otlpkit/otlpkit.hpp>

#include <map>

namespace checkout {
namespace {

struct stocked {
  std::string id;
  std::int64_t stock;
  shop::money price;
};

void log(const std::string& order_id, const std::string& product_id, std::int64_t quantity, const char* operation,
         shop::store& db) {
  db.execute(
      "INSERT INTO inventory_logs (order_id, product_id, quantity, operation, created_at) VALUES ($1, $2, $3, $4, $5)",
      order_id, product_id, quantity, operation, shop::utc_now());
}

}  // namespace

std::vector<line> validate_items(const std::vector<carts::cart_item>& items, shop::store& db) {
  OTLPKIT_SPAN("order.validate_items", {"item_count", items.size()});
  std::map<std::string, std::int64_t> wanted;  // a product may stand in two lines of the request
  for (const carts::cart_item& item : items) wanted[item.product_id] += item.quantity;
  std::vector<otlpkit::db::parameter> ids;
  for (const auto& [id, quantity] : wanted) ids.emplace_back(id);
  // In the order of the ids: orders that lock the same products do not wait for each other in a circle.
  const auto found =
      db.query<stocked>("SELECT id, stock, price, currency FROM products WHERE id IN (" +
                            otlpkit::db::placeholders(ids.size()) + ") ORDER BY id" + shop::for_update(db),
                        ids);
  for (const stocked& product : found) {
    const std::int64_t quantity = wanted.at(product.id);
    if (product.stock < quantity) {
      shop::refuse("stock_insufficient", std::to_string(quantity) + " of " + product.id + " wanted, " +
                                             std::to_string(product.stock) + " there");
    }
  }
  std::vector<line> lines;
  for (const stocked& product : found) lines.push_back({product.id, wanted.at(product.id), product.price});
  for (const line& l : lines) wanted.erase(l.product_id);
  if (!wanted.empty()) shop::refuse("unknown_product", "nobody sells " + wanted.begin()->first);
  return lines;
}

void reserve(const std::string& order_id, const std::vector<line>& lines, shop::store& db) {
  OTLPKIT_SPAN("inventory.reserve", {"item_count", lines.size()});
  for (const line& l : lines) {
    db.execute("UPDATE products SET stock = stock - $1 WHERE id = $2", l.quantity, l.product_id);
    log(order_id, l.product_id, l.quantity, "reserve", db);
  }
}

void release(const std::string& order_id, shop::store& db) {
  OTLPKIT_SPAN("inventory.release", {"order_id", order_id});
  const auto reserved = db.query<carts::cart_item>(
      "SELECT product_id, quantity FROM order_items WHERE order_id = $1 ORDER BY product_id", order_id);
  for (const carts::cart_item& item : reserved) {
    db.execute("UPDATE products SET stock = stock + $1 WHERE id = $2", item.quantity, item.product_id);
    log(order_id, item.product_id, item.quantity, "release", db);
  }
}

}  // namespace checkout
