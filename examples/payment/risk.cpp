// SPDX-License-Identifier: MIT
#include "payment/risk.hpp"

#include "shared/behavior_service.hpp"

#include <otlpkit/asio/asio.hpp>
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/otlpkit.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace asio = boost::asio;

namespace payment {

namespace {

asio::awaitable<double> user_risk(const payment_request& request, services& s) {
  OTLPKIT_SPAN("payment.user_risk");
  const auto chargebacks = co_await otlpkit::offload(s.blocking, [&] {
    return s.database.acquire()->query_one<std::int64_t>(
        "SELECT chargebacks FROM users WHERE id = (SELECT user_id FROM orders WHERE id = $1)", request.order_id);
  });
  co_return std::min(1.0, static_cast<double>(chargebacks) / 5);
}

asio::awaitable<double> device_risk(const payment_request& request, services& s) {
  OTLPKIT_SPAN("payment.device_risk");
  const auto known = co_await otlpkit::offload(s.blocking, [&] { return s.devices.get(request.order_id); });
  co_return known ? known->risk : 0.2;
}

asio::awaitable<double> behavior_risk(const payment_request& request, services& s) {
  OTLPKIT_SPAN("payment.behavior_risk");
  std::string question = shop::to_json(shop::behavior_question{request.order_id, request.amount.minor});
  const auto answer = co_await s.behavior.post("/score", std::move(question), "application/json", "/score");
  if (answer.result_int() != 200)
    shop::refuse("behavior_unknown", "the behavior service says " + std::to_string(answer.result_int()));
  co_return shop::from_json<shop::behavior_answer>(answer.body()).score;
}

}  // namespace

asio::awaitable<double> assess_risk(const payment_request& request, services& s) {
  OTLPKIT_SPAN("payment.risk_assessment");
  const auto [user, device, behavior] =
      co_await otlpkit::when_all(user_risk(request, s), device_risk(request, s), behavior_risk(request, s));
  const double risk = user * 0.4 + device * 0.3 + behavior * 0.3;
  OTLPKIT_RECORD("risk_score", risk);
  co_return risk;
}

}  // namespace payment
