// SPDX-License-Identifier: MIT
// needs: example_checkout
#include <examples/payment_shape.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace payment_shape;

namespace {

/// A tree's lines as they stand below others, behind these guides.
std::string behind(std::string_view guides, const std::string& tree) {
  std::string out;
  for (const std::string_view line : otlpkit::testing::detail::lines_of(tree))
    out.append(guides).append(line).append("\n");
  return out;
}

/// An order of one thing, up to its COMMIT.
/// \param discount what the coupon was, and what it and the tier have made of the price
std::string taken(const std::string& user, const std::string& total, const std::string& coupon,
                  const std::string& discount) {
  return "order.create [user_id=" + user + R"( item_count=1 order_id=order-ID order_status=created]
├─ BEGIN
├─ user.validate [user_id=)" +
         user + R"(]
│  └─ SELECT users
├─ order.validate_items [item_count=1]
│  └─ SELECT products
├─ pricing.calculate [total=)" +
         total + R"( currency=EUR]
│  ├─ coupon.validate [)" +
         coupon + R"(]
│  │  └─ SELECT coupons
│  └─ discount.calculate [)" +
         discount + R"(]
├─ INSERT orders
├─ order_items.create [item_count=1]
│  └─ INSERT order_items
├─ inventory.reserve [item_count=1]
│  ├─ UPDATE products
│  └─ INSERT inventory_logs
├─ COMMIT
)";
}

/// What follows the answer.
/// \param root    of it, with an error if there was one
/// \param payment how it ended
/// \param steps   of the payment
/// \param rest    what comes after it
std::string processed(const std::string& root, const std::string& payment, const std::vector<std::string>& steps,
                      const std::string& rest) {
  return "└─ order.async_processing " + root + "\n   ├─ payment.process [order_id=order-ID method=credit_card " +
         payment + "\n" + behind("   │  ", tree("", steps).substr(1)) + behind("   ", otlpkit::testing::dedent(rest));
}

/// A payment that went well, and what follows it.
std::string fulfilled(const std::string& user, const std::string& amount) {
  return processed("[detached]", "amount=" + amount + " currency=EUR retry_count=1 payment_status=success]",
                   {claimed, assessed(), charged, saved}, R"(
    ├─ notification.send [order_id=order-ID]
    │  └─ INSERT notifications
    └─ cart.clear [user_id=)" + user + R"(]
       └─ cache.erase carts [otlpkit.cache.name=carts otlpkit.cache.outcome=miss]
  )");
}

constexpr const char* not_paid = "[error.type=payment_failed] [detached] !ERROR(the order is not paid)";
constexpr const char* cancelled = R"(
  └─ order.payment_failed [order_id=order-ID order_cancelled=true]
     ├─ BEGIN
     ├─ SELECT orders
     ├─ UPDATE orders SELECT payments
     ├─ inventory.release [order_id=order-ID]
     │  ├─ SELECT order_items
     │  ├─ UPDATE products
     │  └─ INSERT inventory_logs
     └─ COMMIT
)";

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
  const auto check = [&run](const char* title, const std::string& expected) {
    CHECK(short_diff(run, title, expected) == "");
  };
  check("A coupon that is valid",
        taken("u-2", "3105", "coupon=WELCOME10 valid=true", "coupon_percent=10 tier=standard discount=345") +
            fulfilled("u-2", "3105") + "\n" +
            taken("u-3", "3450", "coupon=SUMMER25 valid=false", "coupon_percent=0 tier=standard discount=0") +
            fulfilled("u-3", "3450"));
  check("More than there is", too_little("u-2", 2, "p-1004"));
  check("A user nobody knows", rolled_back("user_id=u-404 item_count=1", R"(
    ├─ user.validate [user_id=u-404 error.type=unknown_user] !ERROR(there is no user u-404)
    │  └─ SELECT users
  )"));
  check("A user who may not buy", rolled_back("user_id=u-8 item_count=1", R"(
    ├─ user.validate [user_id=u-8 error.type=user_suspended] !ERROR(the user is suspended)
    │  └─ SELECT users
  )"));
  check("A product nobody sells", rolled_back("user_id=u-1 item_count=1", R"(
    ├─ user.validate [user_id=u-1]
    │  └─ SELECT users
    ├─ order.validate_items [item_count=1 error.type=unknown_product] !ERROR(nobody sells p-9999)
    │  └─ SELECT products
  )"));
  check("What is no JSON", R"(
    order.create [error.type=invalid_json] !ERROR(items[0].quantity: expected a value, and there is none)

    order.create [error.type=invalid_json] !ERROR(no JSON: incomplete JSON)

    order.create [user_id=u-1 item_count=1 error.type=invalid_quantity] !ERROR(a quantity of -1: expected 1 to 999)
  )");
  CHECK(run.output.find("orders.created 7\n") != std::string::npos);
}

TEST_CASE("two buyers race for the last one: one order is paid, the other one rolled back") {
  const scenario_run run = run_scenario("checkout", "--shape --fault last_item");
  CHECK(run.status == 0);
  const std::string trees = short_trees(run, "Two buyers race");
  const std::string one = taken("u-2", "8010", "coupon=WELCOME10 valid=true",
                                "coupon_percent=10 tier=standard discount=890") +
                          fulfilled("u-2", "8010") + "\n" + too_little("u-3", 1, "p-1003"),
                    other = too_little("u-2", 1, "p-1003") + "\n" +
                            taken("u-3", "8900", "coupon=SUMMER25 valid=false",
                                  "coupon_percent=0 tier=standard discount=0") +
                            fulfilled("u-3", "8900");
  CHECK_MESSAGE((trees == one || trees == other), trees);
}

TEST_CASE("an order that cannot be paid is marked and gives back its stock, after the failed payment") {
  CHECK(short_diff(run_scenario("checkout", "--shape --fault payment_down"), "The gateway is down",
                   taken("u-3", "6900", "coupon=SUMMER25 valid=false", "coupon_percent=0 tier=standard discount=0") +
                       processed(not_paid,
                                 "amount=6900 currency=EUR retry_count=3 payment_status=failed error.type=exception] "
                                 "!ERROR(left by an exception)",
                                 {"│  · on_retry\n│  · on_retry\n", claimed, assessed(), gateway_down()}, cancelled)) ==
        "");
  CHECK(short_diff(run_scenario("checkout", "--shape --fault rejected_high_risk"), "A payment that is too risky",
                   taken("u-9", "1288710", "valid=false", "coupon_percent=0 tier=standard discount=0") +
                       processed(not_paid,
                                 "amount=1288710 currency=EUR payment_status=rejected_high_risk "
                                 "error.type=payment_rejected] !ERROR(the risk is too high)",
                                 {claimed, assessed("0.9550000000000001", "otlpkit.cache.outcome=hit]"),
                                  "└─ UPDATE payments\n"},
                                 cancelled)) == "");
}

TEST_CASE("a cart that cannot be cleared is red, and the order around it is not") {
  CHECK(short_diff(run_scenario("checkout", "--shape --fault cache_down"), "The cache is down",
                   taken("u-1", "1226", "valid=false", "coupon_percent=0 tier=gold discount=64") +
                       processed("[detached]", "amount=1226 currency=EUR retry_count=1 payment_status=success]",
                                 {claimed, assessed(), charged, saved}, R"(
    ├─ notification.send [order_id=order-ID]
    │  └─ INSERT notifications
    └─ cart.clear [user_id=u-1 error.type=exception] !ERROR(left by an exception)
       └─ cache.erase carts [otlpkit.cache.name=carts error.type=shop::cache_unavailable otlpkit.cache.outcome=error] !ERROR(the shared cache does not answer)
             · exception shop::cache_unavailable: the shared cache does not answer
  )")) == "");
}
