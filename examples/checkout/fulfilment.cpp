// SPDX-License-Identifier: MIT
#include "checkout/fulfilment.hpp"

#include "checkout/inventory.hpp"
#include "shared/new_id.hpp"

#include <otlpkit/asio/offload.hpp>
#include <otlpkit/otlpkit.hpp>

#include <exception>
#include <string>
#include <utility>

namespace checkout {
namespace {

void send_notification(const order& paid, shop::store& db) {
  OTLPKIT_SPAN("notification.send", {"order_id", paid.id});
  db.execute("INSERT INTO notifications (order_id, user_id, message, created_at) VALUES ($1, $2, $3, $4)", paid.id,
             paid.user_id, "Your order over " + to_string(paid.total) + " is on its way", shop::utc_now());
}

/// The order gives back what it has reserved, unless it was paid, or may have been: a payment whose end is not known is
/// not for this program to decide.
void cancel(const order& failed, shop::store& db) {
  OTLPKIT_SPAN("order.payment_failed", {"order_id", failed.id});
  auto tx = db.transaction();
  static_cast<void>(
      db.query_one<std::string>("SELECT status FROM orders WHERE id = $1" + shop::for_update(db), failed.id));
  const auto cancelled = db.execute(
      "UPDATE orders SET status = 'payment_failed' WHERE id = $1 AND status = 'pending' AND NOT EXISTS "
      "(SELECT 1 FROM payments WHERE order_id = $1 AND status IN ('processing', 'success'))",
      failed.id);
  OTLPKIT_RECORD("order_cancelled", cancelled == 1);
  if (cancelled == 1) release(failed.id, db);
  tx.commit();
}

/// Runs what the order can do without. Its own span tells what went wrong.
template <class Work>
void tolerate(Work work) {
  try {
    work();
  } catch (const std::exception&) {
  }
}

}  // namespace

boost::asio::awaitable<void> fulfil(order placed, std::string payment_method, services& s) {
  bool paid = false;
  const payment::payment_request request{placed.id, std::move(payment_method), placed.total};
  try {
    const auto done = co_await payment::process(request, s.payments);
    paid = done.status == "success";
  } catch (const std::exception&) {
    // payment.process has recorded it.
  }
  co_await otlpkit::offload(s.payments.blocking, [&] {
    if (!paid) return cancel(placed, *s.database.acquire());
    tolerate([&] { send_notification(placed, *s.database.acquire()); });
    tolerate([&] { carts::clear(placed.user_id, s.carts); });
  });
  if (!paid) OTLPKIT_FAIL("payment_failed", "the order is not paid");
}

}  // namespace checkout
