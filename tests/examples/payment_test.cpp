// SPDX-License-Identifier: MIT
// links: example_shared
// needs: example_payment
#include "shared/signature.hpp"

#include <examples/payment_shape.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace payment_shape;

namespace {

std::string payment(const std::string& fields, const std::vector<std::string>& below) {
  return tree("payment.process [order_id=order-" + fields, below);
}

const std::string left = " error.type=exception] !ERROR(left by an exception)";

/// A payment that was refused when the database was asked.
std::string not_claimed(const std::string& fields, const std::string& error, const std::string& selected) {
  return payment(fields + left, {"└─ payment.idempotency_check [error.type=" + error + "\n   ├─ BEGIN\n" + selected +
                                 "   └─ ROLLBACK\n"});
}

}  // namespace

TEST_CASE("every path of payment has the trace it should have") {
  const scenario_run run = run_scenario("payment");
  CHECK(run.status == 0);
  const auto check = [&run](const char* title, const std::string& expected) {
    CHECK(short_diff(run, title, expected) == "");
  };
  const std::vector<std::string> well{claimed, assessed(), charged, saved};
  const std::string once = " currency=EUR retry_count=1 payment_status=success]";
  check("A payment: three risk checks", payment("ID method=credit_card amount=4580" + once, well));
  check(
      "The same payment again", payment("ID method=credit_card amount=1290 currency=EUR payment_status=duplicate]", {R"(
    └─ payment.idempotency_check
       ├─ BEGIN
       ├─ SELECT orders
       ├─ SELECT payments
       └─ ROLLBACK
  )"}) + "\n" + payment("ID method=credit_card amount=1290" + once, well));
  check("A customer with chargebacks",
        payment("ID method=credit_card amount=1200000 currency=EUR payment_status=rejected_high_risk "
                "error.type=payment_rejected] !ERROR(the risk is too high)",
                {claimed, assessed("0.9550000000000001", "otlpkit.cache.outcome=hit]"), "└─ UPDATE payments\n"}));
  const std::string both = "\n│     └─ POST /charges !ERROR";
  check("The gateway answers 503 twice",
        payment("ID method=alipay amount=3450 currency=EUR retry_count=3 payment_status=success]",
                {"│  · on_retry\n│  · on_retry\n", claimed, assessed(),
                 failed_attempt("1 otlpkit.retry.max_attempts=3", "true", "the gateway says 503", both),
                 failed_attempt("2 otlpkit.retry.max_attempts=3 otlpkit.retry.delay_ms=200.0", "true",
                                "the gateway says 503", both),
                 R"(
    ├─ payment.gateway_call [otlpkit.retry.attempt=3 otlpkit.retry.max_attempts=3 otlpkit.retry.delay_ms=400.0]
    │  └─ POST /charges
    │     └─ POST /charges
  )",
                 saved}));
  check("The gateway answers 402",
        payment("ID method=alipay amount=3450 currency=EUR retry_count=1 payment_status=failed" + left,
                {claimed, assessed(),
                 failed_attempt("1 otlpkit.retry.max_attempts=3", "false otlpkit.retry.stopped_by=not_handled",
                                "the gateway says 402", "\n│     └─ POST /charges"),
                 "└─ UPDATE payments\n"}));
  check("The gateway is down", payment("ID method=wechat amount=8900" + once, {R"(
    ├─ payment.idempotency_check
    │  ├─ BEGIN
    │  ├─ SELECT orders
    │  ├─ SELECT payments
    │  ├─ UPDATE payments
    │  └─ COMMIT
  )",
                                                                               assessed(), charged, saved}) +
                                   "\n" +
                                   payment("ID method=wechat amount=8900 currency=EUR retry_count=3 "
                                           "payment_status=failed" +
                                               left,
                                           {"│  · on_retry\n│  · on_retry\n", claimed, assessed(), gateway_down()}));
  constexpr const char* both_rows = "   ├─ SELECT orders\n   ├─ SELECT payments\n";
  check("Another amount", not_claimed("ID method=credit_card amount=129 currency=EUR",
                                      "wrong_amount] !ERROR(1.29 EUR for an order of 12.90 EUR)", both_rows) +
                              "\n" +
                              not_claimed("ID method=credit_card amount=1290 currency=USD",
                                          "wrong_amount] !ERROR(12.90 USD for an order of 12.90 EUR)", both_rows));
  check("A payment needs an order",
        not_claimed("0 method=credit_card amount=1290 currency=EUR", "unknown_order] !ERROR(there is no order order-0)",
                    "   ├─ SELECT orders\n"));
  check("An order that was given up", not_claimed("ID method=credit_card amount=1290 currency=EUR",
                                                  "order_closed] !ERROR(the order is payment_failed)", both_rows));
  check("A method there is not",
        payment("0 method=barter amount=1290 currency=EUR error.type=invalid_method] !ERROR(a payment is by "
                "credit_card, alipay or wechat)",
                {}) +
            "\n" +
            payment("0 method=credit_card amount=-5 currency=EUR error.type=invalid_amount] !ERROR(-0.05 EUR: expected "
                    "an amount above zero)",
                    {}));
  const std::string silent =
      "error.type=shop::cache_unavailable otlpkit.cache.outcome=error] !ERROR(the shared cache does not answer)\n"
      "│  │        · exception shop::cache_unavailable: the shared cache does not answer";
  check("The shared cache is down",
        payment("ID method=credit_card amount=1290" + once, {claimed, assessed("0.09", silent), charged, saved}));
  CHECK(run.output.find("payments.processed{method=credit_card} 3\n") != std::string::npos);
}

TEST_CASE("--fault plays only that path") {
  const scenario_run run = run_scenario("payment", "--shape --fault gateway_refuses");
  CHECK(run.status == 0);
  CHECK(run.output.find("\npayment: 1 acts, all as they should be") != std::string::npos);
  CHECK(run.output.find("The gateway answers 402") != std::string::npos);
}

TEST_CASE("a signature is the HMAC-SHA-256 of RFC 4231's test case 2") {
  CHECK(shop::hmac_sha256("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(shop::same_signature("ab", "ab"));
  CHECK_FALSE(shop::same_signature("ab", "ac"));
  CHECK_FALSE(shop::same_signature("ab", "abc"));
}
