// payment: an order is paid once: risk checks in parallel, a signed call to the gateway, retried while that may help
// SPDX-License-Identifier: MIT
#include "payment/payment.hpp"
#include "payment/surroundings.hpp"
#include "shared/new_id.hpp"
#include "shared/run.hpp"
#include "shared/scenario.hpp"
#include "shared/untraced.hpp"

#include <string>

using payment::payment_result;
using shop::money;

/// An order that waits for its payment, as checkout leaves it.
std::string place_order(shop::store& db, const std::string& user, money total) {
  const shop::untraced not_shown;
  const std::string id = shop::new_id("order");
  db.execute(
      "INSERT INTO orders (id, user_id, total, currency, status, payment_method, shipping_address, created_at) "
      "VALUES ($1, $2, $3, $4, 'pending', 'credit_card', 'Rue Cler 1, Paris', $5)",
      id, user, total.minor, total.currency, shop::utc_now());
  return id;
}

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "payment"};
  shop::database database;
  shop::store db = database.connect();
  payment::surroundings around{database, scenario.seed()};
  shop::stub_service& gateway = around.gateway.service();
  scenario.after_each([&] { around.settle(); });

  const auto pay = [&](const std::string& order, money amount, const std::string& method = "credit_card") {
    const payment_result paid = shop::run(payment::process({order, method, amount}, around.all));
    scenario.say("the payment of " + to_string(amount) + " is a " + paid.status);
    return paid;
  };
  const auto order_status = [&](const std::string& order) {
    const shop::untraced not_shown;
    return db.query_one<std::string>("SELECT status FROM orders WHERE id = $1", order);
  };
  const auto payment_status = [&](const std::string& order) {
    const shop::untraced not_shown;
    return db.query_one<std::string>("SELECT status FROM payments WHERE order_id = $1", order);
  };

  scenario.act("A payment: three risk checks at once, then the gateway, then payment and order are saved", [&] {
    const std::string order = place_order(db, "u-1", {4580});
    scenario.expect(pay(order, {4580}).transaction_id.has_value(), "a transaction of the gateway's");
    scenario.expect(order_status(order) == "paid", "a paid order");
  });
  scenario.fault("duplicate", "The same payment again: the first one is the answer, the gateway hears nothing", [&] {
    const std::string order = place_order(db, "u-1", {1290});
    const payment_result first = pay(order, {1290});
    const auto asked = gateway.requests();
    scenario.expect(pay(order, {1290}).payment_id == first.payment_id, "the same payment");
    scenario.expect(gateway.requests() == asked, "no second charge");
  });
  scenario.fault("rejected_high_risk", "A customer with chargebacks, a large amount, a device with a bad name", [&] {
    const std::string order = place_order(db, "u-9", {1'200'000});
    around.cache.set(order, {.risk = 0.9}, std::chrono::hours{1});
    scenario.expect_refused("payment_rejected", [&] { pay(order, {1'200'000}); });
    scenario.expect(payment_status(order) == "rejected", "a rejected payment");
  });
  scenario.fault("gateway_busy", "The gateway answers 503 twice: the third attempt succeeds", [&] {
    const std::string order = place_order(db, "u-2", {3450});
    gateway.answer_with(503, 2);
    scenario.expect(pay(order, {3450}, "alipay").status == "success", "success after two failures");
  });
  scenario.fault("gateway_refuses", "The gateway answers 402, which will not change: it is asked once", [&] {
    const std::string order = place_order(db, "u-2", {3450});
    const auto asked = gateway.requests();
    gateway.answer_with(402, 1);
    scenario.expect_failure<payment::gateway_error>([&] { pay(order, {3450}, "alipay"); });
    scenario.expect(gateway.requests() == asked + 1, "one request");
    scenario.expect(payment_status(order) == "pending", "a pending payment");
  });
  scenario.fault("gateway_down", "The gateway is down: the payment stays pending, and succeeds when it is back", [&] {
    const std::string order = place_order(db, "u-2", {8900});
    gateway.take_down(true);
    scenario.expect_failure<payment::gateway_error>([&] { pay(order, {8900}, "wechat"); });
    scenario.expect(payment_status(order) == "pending", "a pending payment");
    gateway.take_down(false);
    scenario.expect(pay(order, {8900}, "wechat").status == "success", "success in the end");
  });
  scenario.fault("wrong_amount", "Another amount than the order's", [&] {
    const std::string order = place_order(db, "u-1", {1290});
    scenario.expect_refused("wrong_amount", [&] { pay(order, {129}); });
    scenario.expect_refused("wrong_amount", [&] { pay(order, {1290, "USD"}); });
  });
  scenario.fault("unknown_order", "A payment needs an order",
                 [&] { scenario.expect_refused("unknown_order", [&] { pay("order-0", {1290}); }); });
  scenario.fault("order_closed", "An order that was given up is paid no more", [&] {
    const std::string order = place_order(db, "u-1", {1290});
    {
      const shop::untraced not_shown;
      db.execute("UPDATE orders SET status = 'payment_failed' WHERE id = $1", order);
    }
    const auto asked = gateway.requests();
    scenario.expect_refused("order_closed", [&] { pay(order, {1290}); });
    scenario.expect(gateway.requests() == asked, "no charge");
  });
  scenario.fault("invalid_method", "A method there is not, and an amount that is none", [&] {
    scenario.expect_refused("invalid_method", [&] { pay("order-0", {1290}, "barter"); });
    scenario.expect_refused("invalid_amount", [&] { pay("order-0", {-5}); });
  });
  scenario.fault("cache_down", "The shared cache is down: nothing is known of the device, and the payment goes on",
                 [&] {
                   const std::string order = place_order(db, "u-1", {1290});
                   around.cache.take_down(true);
                   scenario.expect(pay(order, {1290}).status == "success", "success without the cache");
                   around.cache.take_down(false);
                 });
  return scenario.finish();
}
