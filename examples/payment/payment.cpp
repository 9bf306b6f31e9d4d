// SPDX-License-Identifier: MIT
#include "payment/payment.hpp"

#include "payment/risk.hpp"
#include "shared/new_id.hpp"
#include "shared/payment_gateway.hpp"
#include "shared/signature.hpp"

#include <otlpkit/asio/offload.hpp>
#include <otlpkit/asio/retry.hpp>
#include <otlpkit/otlpkit.hpp>

#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <utility>

namespace asio = boost::asio;
namespace http = otlpkit::http;
using namespace std::chrono_literals;

namespace payment {
namespace {

const otlpkit::retry_policy gateway_retry{{.name = "payment-gateway",
                                           .max_retry_attempts = 2,
                                           .growth = otlpkit::backoff::exponential,
                                           .delay = 200ms,  // then 400 ms
                                           .chance = otlpkit::jitter::none,
                                           .should_handle = [](const otlpkit::resilience::outcome& o) {
                                             bool again = false;
                                             o.with_exception<gateway_error>(
                                                 [&](const gateway_error& e) { again = e.retriable(); });
                                             return again;
                                           }}};

void check(const payment_request& request) {
  shop::check_id("order id", request.order_id);
  check_method(request.method);
  if (request.amount.minor <= 0)
    shop::refuse("invalid_amount", to_string(request.amount) + ": expected an amount above zero");
}

struct order_to_pay {
  std::string status;
  shop::money total;
};

/// Makes the payment the caller's to carry out: the payment's id and nothing, or the payment that is there already. The
/// order is locked meanwhile, so that of several callers one gets it.
std::pair<std::string, std::optional<payment_result>> claim(const payment_request& request, shop::store& db) {
  OTLPKIT_SPAN("payment.idempotency_check");
  auto tx = db.transaction();
  const auto order = db.query_optional<order_to_pay>(
      "SELECT status, total, currency FROM orders WHERE id = $1" + shop::for_update(db), request.order_id);
  if (!order) shop::refuse("unknown_order", "there is no order " + request.order_id);
  auto earlier = db.query_optional<payment_result>(
      "SELECT id, status, transaction_id FROM payments WHERE order_id = $1", request.order_id);
  if (earlier && earlier->status != "pending") return {earlier->payment_id, std::move(earlier)};
  if (order->status != "pending") shop::refuse("order_closed", "the order is " + order->status);
  if (order->total.minor != request.amount.minor || order->total.currency != request.amount.currency)
    shop::refuse("wrong_amount", to_string(request.amount) + " for an order of " + to_string(order->total));

  const std::string id = earlier ? earlier->payment_id : shop::new_id("payment");
  if (earlier) {
    db.execute("UPDATE payments SET status = 'processing', method = $1 WHERE id = $2", request.method, id);
  } else {
    db.execute(
        "INSERT INTO payments (id, order_id, method, amount, currency, status, created_at) "
        "VALUES ($1, $2, $3, $4, $5, 'processing', $6)",
        id, request.order_id, request.method, request.amount.minor, request.amount.currency, shop::utc_now());
  }
  tx.commit();
  return {id, std::nullopt};
}

/// One attempt. The retry makes its span, payment.gateway_call.
asio::awaitable<shop::gateway_response> call_gateway(const payment_request& request, services& s) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  http::request::message post{boost::beast::http::verb::post, "/", 11};
  post.body() = shop::to_json(shop::gateway_request{s.merchant_id, request.order_id, request.amount.minor,
                                                    request.amount.currency,
                                                    std::chrono::duration_cast<std::chrono::seconds>(now).count()});
  post.set(boost::beast::http::field::content_type, "application/json");
  post.set("X-Signature", shop::hmac_sha256(s.secret_key, post.body()));

  http::response answer;
  try {
    answer = co_await s.gateway.send(std::move(post), "/charges", "/charges");
  } catch (const boost::system::system_error& e) {
    throw gateway_error{true, "no answer from the gateway: " + e.code().message()};
  }
  const unsigned status = answer.result_int();
  if (status != 200) throw gateway_error{status >= 500 || status == 429, "the gateway says " + std::to_string(status)};
  co_return shop::from_json<shop::gateway_response>(answer.body());
}

void set_status(const std::string& id, const char* status, shop::store& db) {
  db.execute("UPDATE payments SET status = $1 WHERE id = $2", status, id);
}

/// Payment and order change together, or not at all.
void save(const std::string& id, const payment_request& request, const std::string& transaction_id, shop::store& db) {
  auto tx = db.transaction();
  db.execute("UPDATE payments SET status = 'success', transaction_id = $1 WHERE id = $2", transaction_id, id);
  db.execute("UPDATE orders SET status = 'paid' WHERE id = $1", request.order_id);
  tx.commit();
}

}  // namespace

void check_method(const std::string& method) {
  if (method != "credit_card" && method != "alipay" && method != "wechat")
    shop::refuse("invalid_method", "a payment is by credit_card, alipay or wechat");
}

asio::awaitable<payment_result> process(payment_request request, services& s) {
  OTLPKIT_SPAN("payment.process", {"order_id", request.order_id}, {"method", request.method},
               {"amount", request.amount.minor}, {"currency", request.amount.currency});
  check(request);
  const auto in_database = [&s](auto work) {
    return otlpkit::offload(s.blocking, [&s, work = std::move(work)] { return work(*s.database.acquire()); });
  };

  const auto [id, earlier] = co_await in_database([&](shop::store& db) { return claim(request, db); });
  if (earlier) {
    OTLPKIT_RECORD("payment_status", "duplicate");
    co_return *earlier;
  }

  // Until the gateway has taken it a payment that fails is kept as pending: it may be tried again.
  std::optional<shop::gateway_response> taken;
  std::exception_ptr failure;
  bool too_risky = false;
  int attempts = 0;
  try {
    const double risk = co_await assess_risk(request, s);
    too_risky = risk > 0.8;
    if (!too_risky) {
      taken = co_await otlpkit::retry(gateway_retry, "payment.gateway_call", [&] {
        ++attempts;
        return call_gateway(request, s);
      });
    }
  } catch (...) {
    failure = std::current_exception();
  }
  if (attempts > 0) OTLPKIT_RECORD("retry_count", attempts);
  if (!taken) {
    OTLPKIT_RECORD("payment_status", too_risky ? "rejected_high_risk" : "failed");
    co_await in_database([&](shop::store& db) { set_status(id, too_risky ? "rejected" : "pending", db); });
    if (failure) std::rethrow_exception(failure);
    shop::refuse("payment_rejected", "the risk is too high");
  }

  co_await in_database([&](shop::store& db) { save(id, request, taken->transaction_id, db); });
  OTLPKIT_RECORD("payment_status", "success");
  OTLPKIT_COUNTER("payments.processed", {"method", request.method}).add();
  OTLPKIT_HISTOGRAM("payments.amount").record(static_cast<double>(request.amount.minor) / 100);
  co_return payment_result{id, "success", taken->transaction_id};
}

}  // namespace payment
