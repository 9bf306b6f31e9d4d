// SPDX-License-Identifier: MIT
// needs: example_checkout
#include <examples/shape.hpp>

#include <doctest/doctest.h>

#include <string>

namespace {

/// An order that is refused: what it was, and the step that refused it.
std::string rolled_back(const std::string& fields, const std::string& step) {
  return tree("order.create [" + fields + " error.type=exception] !ERROR(left by an exception)",
              {"├─ BEGIN\n", step, "└─ ROLLBACK\n"});
}

/// There is too little of a product.
std::string too_little(const std::string& user, int items, const std::string& product) {
  const std::string count = std::to_string(items);
  return rolled_back(
      "user_id=" + user + " item_count=" + count,
      "├─ user.validate [user_id=" + user + "]\n│  └─ SELECT users\n├─ order.validate_items [item_count=" + count +
          " error.type=stock_insufficient] !ERROR(1 of " + product + " wanted, 0 there)\n│  └─ SELECT products\n");
}

}  // namespace

TEST_CASE("an order has the trace of the documents: one transaction, then detached work") {
  const scenario_run run = run_scenario("checkout");
  CHECK(run.status == 0);
  CHECK(run.diff("An order of two things", R"(
    order.create [user_id=u-1 item_count=2 order_id=order-ID order_status=created]
    ├─ BEGIN
    ├─ user.validate [user_id=u-1]
    │  └─ SELECT users
    ├─ order.validate_items [item_count=2]
    │  └─ SELECT products
    ├─ pricing.calculate [total=5729 currency=EUR]
    │  ├─ coupon.validate [valid=false]
    │  │  └─ SELECT coupons
    │  └─ discount.calculate [coupon_percent=0 tier=gold discount=301]
    ├─ INSERT orders
    ├─ order_items.create [item_count=2]
    │  └─ BATCH INSERT order_items
    ├─ inventory.reserve [item_count=2]
    │  ├─ UPDATE products
    │  ├─ INSERT inventory_logs
    │  ├─ UPDATE products
    │  └─ INSERT inventory_logs
    ├─ COMMIT
    └─ order.async_processing [detached]
       ├─ payment.process [order_id=order-ID method=credit_card amount=5729 currency=EUR retry_count=1 payment_status=success]
       │  ├─ payment.idempotency_check
       │  │  ├─ BEGIN
       │  │  ├─ SELECT orders
       │  │  ├─ SELECT payments
       │  │  ├─ INSERT payments
       │  │  └─ COMMIT
       │  ├─ payment.risk_assessment [risk_score=0.09]
       │  │  ├─ payment.user_risk
       │  │  │  └─ SELECT users SELECT orders
       │  │  ├─ payment.device_risk
       │  │  │  └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=miss]
       │  │  └─ payment.behavior_risk
       │  │     └─ POST /score
       │  │        └─ POST /score
       │  ├─ payment.gateway_call [otlpkit.retry.attempt=1 otlpkit.retry.max_attempts=3]
       │  │  └─ POST /charges
       │  │     └─ POST /charges
       │  ├─ BEGIN
       │  ├─ UPDATE payments
       │  ├─ UPDATE orders
       │  └─ COMMIT
       ├─ notification.send [order_id=order-ID]
       │  └─ INSERT notifications
       └─ cart.clear [user_id=u-1]
          └─ cache.erase carts [otlpkit.cache.name=carts otlpkit.cache.outcome=miss]
  )") == "");
  CHECK(run.diff("More than there is", too_little("u-2", 2, "p-1004")) == "");
  CHECK(run.diff("A user who may not buy", rolled_back("user_id=u-8 item_count=1", R"(
    ├─ user.validate [user_id=u-8 error.type=user_suspended] !ERROR(the user is suspended)
    │  └─ SELECT users
  )")) == "");
  CHECK(run.missing("What is no JSON", R"(
    order.create [error.type=invalid_json] !ERROR(items[0].quantity: expected a value, and there is none)
  )") == "");
  CHECK(run.missing("What is no JSON", R"(
    order.create [user_id=u-1 item_count=1 error.type=invalid_quantity] !ERROR(a quantity of -1: expected 1 to 999)
  )") == "");
  CHECK(run.missing("Two buyers race", too_little("u-2", 1, "p-1003")).empty() !=
        run.missing("Two buyers race", too_little("u-3", 1, "p-1003")).empty());
  CHECK(run.output.find("orders.created 7\n") != std::string::npos);
}

TEST_CASE("an order that cannot be paid is marked and gives back its stock, after the failed payment") {
  const std::string trees = run_scenario("checkout", "--shape --fault payment_down").trees("The gateway is down");
  CHECK(trees.find("order_status=created]\n") != std::string::npos);
  CHECK(trees.find("retry_count=3 payment_status=failed error.type=exception] !ERROR(left by an exception)\n") !=
        std::string::npos);
  CHECK(trees.find(R"(
   │  └─ UPDATE payments
   └─ order.payment_failed [order_id=order-ID order_cancelled=true]
      ├─ BEGIN
      ├─ SELECT orders
      ├─ UPDATE orders SELECT payments
      ├─ inventory.release [order_id=order-ID]
      │  ├─ SELECT order_items
      │  ├─ UPDATE products
      │  └─ INSERT inventory_logs
      └─ COMMIT
)") != std::string::npos);
  CHECK(trees.find("[error.type=payment_failed") != std::string::npos);
  CHECK(trees.find("notification.send") == std::string::npos);
}

TEST_CASE("a cart that cannot be cleared is red, and the order around it is not") {
  const std::string trees = run_scenario("checkout", "--shape --fault cache_down").trees("The cache is down");
  CHECK(trees.find(R"(
   └─ cart.clear [user_id=u-1 error.type=exception] !ERROR(left by an exception)
      └─ cache.erase carts [otlpkit.cache.name=carts error.type=shop::cache_unavailable otlpkit.cache.outcome=error] !ERROR(the shared cache does not answer)
            · exception shop::cache_unavailable: the shared cache does not answer
)") != std::string::npos);
  CHECK(trees.find("└─ order.async_processing [detached]\n") != std::string::npos);
}
