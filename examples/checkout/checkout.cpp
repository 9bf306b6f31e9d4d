// SPDX-License-Identifier: MIT
// links: scenario_cart scenario_payment
#include "checkout/checkout.hpp"

#include "checkout/fulfilment.hpp"
#include "checkout/inventory.hpp"
#include "checkout/pricing.hpp"
#include "shared/new_id.hpp"

#include <otlpkit/asio/spawn_detached.hpp>
#include <otlpkit/otlpkit.hpp>

#include <algorithm>
#include <utility>

namespace checkout {
namespace {

void check(const order_request& request) {
  shop::check_id("user id", request.user_id);
  if (request.items.empty() || request.items.size() > 100)
    shop::refuse("invalid_items", std::to_string(request.items.size()) + " items: expected 1 to 100");
  for (const carts::cart_item& item : request.items) carts::check(item);
  payment::check_method(request.payment_method);
  if (request.shipping_address.empty() || request.shipping_address.size() > 200)
    shop::refuse("invalid_address", "a shipping address has 1 to 200 bytes");
}

user validate_user(const std::string& id, shop::store& db) {
  OTLPKIT_SPAN("user.validate", {"user_id", id});
  const auto found = db.query_optional<user>("SELECT id, status, tier FROM users WHERE id = $1", id);
  if (!found) shop::refuse("unknown_user", "there is no user " + id);
  if (found->status != "active") shop::refuse("user_suspended", "the user is " + found->status);
  return *found;
}

void create_items(const std::string& order_id, const std::vector<line>& lines, shop::store& db) {
  OTLPKIT_SPAN("order_items.create", {"item_count", lines.size()});
  std::vector<otlpkit::db::parameter> values;
  for (const line& l : lines) values.insert(values.end(), {order_id, l.product_id, l.quantity, l.price.minor});
  db.insert_rows("INSERT INTO order_items (order_id, product_id, quantity, price) VALUES", 4, values);
}

}  // namespace

order create_order(std::string_view json, services& s) {
  OTLPKIT_SPAN("order.create");
  const auto request = shop::from_json<order_request>(json);
  OTLPKIT_RECORD("user_id", request.user_id);
  OTLPKIT_RECORD("item_count", request.items.size());
  check(request);

  order placed{shop::new_id("order"), request.user_id, {}, "pending", shop::utc_now()};
  {
    const auto db = s.database.acquire();
    auto tx = db->transaction();
    const user buyer = validate_user(request.user_id, *db);
    const std::vector<line> lines = validate_items(request.items, *db);
    placed.total = calculate_price(buyer, lines, *db);
    OTLPKIT_RECORD("order_id", placed.id);
    db->execute(
        "INSERT INTO orders (id, user_id, total, currency, status, payment_method, shipping_address, created_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        placed.id, placed.user_id, placed.total.minor, placed.total.currency, placed.status, request.payment_method,
        request.shipping_address, placed.created_at);
    create_items(placed.id, lines, *db);
    reserve(placed.id, lines, *db);
    tx.commit();
  }
  OTLPKIT_RECORD("order_status", "created");
  OTLPKIT_COUNTER("orders.created").add();
  OTLPKIT_HISTOGRAM("orders.total_amount").record(static_cast<double>(placed.total.minor) / 100);

  otlpkit::spawn_detached(s.background, "order.async_processing", fulfil(placed, request.payment_method, s));
  return placed;
}

}  // namespace checkout
