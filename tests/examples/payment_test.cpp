// SPDX-License-Identifier: MIT
// links: example_shared
// needs: example_payment
#include "shared/signature.hpp"

#include <examples/shape.hpp>

#include <doctest/doctest.h>

#include <string>

namespace {

constexpr const char* claimed = R"(
  ├─ payment.idempotency_check
  │  ├─ BEGIN
  │  ├─ SELECT orders
  │  ├─ SELECT payments
  │  ├─ INSERT payments
  │  └─ COMMIT
)";

std::string assessed(const std::string& score, const std::string& device) {
  return "├─ payment.risk_assessment [risk_score=" + score + R"(]
│  ├─ payment.user_risk
│  │  └─ SELECT users SELECT orders
│  ├─ payment.device_risk
│  │  └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=)" +
         device + R"(]
│  └─ payment.behavior_risk
│     └─ POST /score
│        └─ POST /score
)";
}

}  // namespace

TEST_CASE("a payment has the trace it should have: claimed, assessed, charged, saved") {
  const scenario_run run = run_scenario("payment");
  CHECK(run.status == 0);
  CHECK(run.diff("A payment: three risk checks", tree("payment.process [order_id=order-ID method=credit_card "
                                                      "amount=4580 currency=EUR retry_count=1 payment_status=success]",
                                                      {claimed, assessed("0.09", "miss"), R"(
    ├─ payment.gateway_call [otlpkit.retry.attempt=1 otlpkit.retry.max_attempts=3]
    │  └─ POST /charges
    │     └─ POST /charges
    ├─ BEGIN
    ├─ UPDATE payments
    ├─ UPDATE orders
    └─ COMMIT
  )"})) == "");
  CHECK(run.missing("The same payment again", R"(
    payment.process [order_id=order-ID method=credit_card amount=1290 currency=EUR payment_status=duplicate]
    └─ payment.idempotency_check
       ├─ BEGIN
       ├─ SELECT orders
       ├─ SELECT payments
       └─ ROLLBACK
  )") == "");
  CHECK(run.missing("Another amount", R"(
    payment.process [order_id=order-ID method=credit_card amount=129 currency=EUR error.type=exception] !ERROR(left by an exception)
    └─ payment.idempotency_check [error.type=wrong_amount] !ERROR(1.29 EUR for an order of 12.90 EUR)
       ├─ BEGIN
       ├─ SELECT orders
       ├─ SELECT payments
       └─ ROLLBACK
  )") == "");
  CHECK(run.diff("A payment needs an order", R"(
    payment.process [order_id=order-0 method=credit_card amount=1290 currency=EUR error.type=exception] !ERROR(left by an exception)
    └─ payment.idempotency_check [error.type=unknown_order] !ERROR(there is no order order-0)
       ├─ BEGIN
       ├─ SELECT orders
       └─ ROLLBACK
  )") == "");
  CHECK(run.missing("A method there is not", R"(
    payment.process [order_id=order-0 method=barter amount=1290 currency=EUR error.type=invalid_method] !ERROR(a payment is by credit_card, alipay or wechat)
  )") == "");
  CHECK(run.output.find("payments.processed{method=credit_card} 3\n") != std::string::npos);
}

TEST_CASE("what is too risky is rejected before the gateway hears of it") {
  CHECK(run_scenario("payment", "--shape --fault rejected_high_risk")
            .diff("A customer with chargebacks",
                  tree("payment.process [order_id=order-ID method=credit_card amount=1200000 currency=EUR "
                       "payment_status=rejected_high_risk error.type=payment_rejected] !ERROR(the risk is too high)",
                       {claimed, assessed("0.9550000000000001", "hit"), R"(
    └─ UPDATE payments
  )"})) == "");
}

TEST_CASE("attempts at the gateway are siblings under the payment, two red ones before the one that succeeds") {
  const std::string trees =
      run_scenario("payment", "--shape --fault gateway_busy").trees("The gateway answers 503 twice");
  CHECK(
      trees.find(
          R"(payment.process [order_id=order-ID method=alipay amount=3450 currency=EUR retry_count=3 payment_status=success]
│  · on_retry
│  · on_retry
)") != std::string::npos);
  CHECK(trees.find(R"(
├─ payment.gateway_call [otlpkit.retry.attempt=1 otlpkit.retry.max_attempts=3 error.type=payment::gateway_error otlpkit.retry.handled=true] !ERROR(the gateway says 503)
│  │  · exception payment::gateway_error: the gateway says 503
│  └─ POST /charges !ERROR
│     └─ POST /charges !ERROR
├─ payment.gateway_call [otlpkit.retry.attempt=2 otlpkit.retry.max_attempts=3 otlpkit.retry.delay_ms=200.0 error.type=payment::gateway_error otlpkit.retry.handled=true] !ERROR(the gateway says 503)
│  │  · exception payment::gateway_error: the gateway says 503
│  └─ POST /charges !ERROR
│     └─ POST /charges !ERROR
├─ payment.gateway_call [otlpkit.retry.attempt=3 otlpkit.retry.max_attempts=3 otlpkit.retry.delay_ms=400.0]
│  └─ POST /charges
│     └─ POST /charges
├─ BEGIN
)") != std::string::npos);
}

TEST_CASE("a gateway that is down leaves a pending payment, and the third attempt says why there is no fourth") {
  const std::string trees = run_scenario("payment", "--shape --fault gateway_down").trees("The gateway is down");
  CHECK(trees.find("retry_count=3 payment_status=failed error.type=exception] !ERROR(left by an exception)") !=
        std::string::npos);
  CHECK(trees.find("otlpkit.retry.stopped_by=max_attempts] !ERROR(no answer from the gateway: Connection refused)") !=
        std::string::npos);
  CHECK(trees.find("retry_count=1 payment_status=success]") != std::string::npos);
  CHECK(trees.find("└─ UPDATE payments") != std::string::npos);
}

TEST_CASE("a signature is the HMAC-SHA-256 of RFC 4231's test case 2") {
  CHECK(shop::hmac_sha256("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(shop::same_signature("ab", "ab"));
  CHECK_FALSE(shop::same_signature("ab", "ac"));
  CHECK_FALSE(shop::same_signature("ab", "abc"));
}
