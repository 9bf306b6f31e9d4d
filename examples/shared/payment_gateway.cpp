// SPDX-License-Identifier: MIT
#include "shared/payment_gateway.hpp"

#include "shared/new_id.hpp"
#include "shared/signature.hpp"

#include <utility>

namespace shop {

namespace http = otlpkit::http;

payment_gateway::payment_gateway(std::string merchant_id, std::string secret_key, std::uint64_t seed)
    : merchant_id_{std::move(merchant_id)}, secret_key_{std::move(secret_key)},
      service_{{{"POST", "/charges", [this](const http::request& r) { return charge(r); }}}, {.seed = seed}} {}

http::response payment_gateway::charge(const http::request& request) {
  const auto given = request["X-Signature"];
  if (!same_signature({given.data(), given.size()}, hmac_sha256(secret_key_, request.body())))
    return http::reply(401, "wrong signature\n");
  try {
    const auto asked = from_json<gateway_request>(request.body());
    if (asked.merchant_id != merchant_id_) return http::reply(401, "unknown merchant\n");
    if (asked.amount <= 0) return http::reply(400, "an amount above zero is expected\n");
    const std::lock_guard lock{mutex_};
    charge_record& once = charges_[asked.order_id];
    if (once.transaction_id.empty()) once = {new_id("txn"), asked.amount};
    return http::reply(200, to_json(gateway_response{once.transaction_id}), "application/json");
  } catch (const refused& no) {
    return http::reply(400, std::string{no.what()} + "\n");
  }
}

std::map<std::string, std::int64_t> payment_gateway::charged() const {
  const std::lock_guard lock{mutex_};
  std::map<std::string, std::int64_t> out;
  for (const auto& [order, charge] : charges_) out[order] = charge.amount;
  return out;
}

}  // namespace shop
