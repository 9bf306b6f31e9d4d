// SPDX-License-Identifier: MIT
#pragma once

#include "shared/json.hpp"
#include "shared/stub_service.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace shop {

/// What is posted to a payment gateway's /charges, with its HMAC in the header X-Signature.
struct gateway_request {
  std::string merchant_id;
  std::string order_id;
  std::int64_t amount = 0;  ///< minor units
  std::string currency;
  std::int64_t timestamp = 0;  ///< Unix seconds
};

struct gateway_response {
  std::string transaction_id;
};

BOOST_DESCRIBE_STRUCT(gateway_request, (), (merchant_id, order_id, amount, currency, timestamp))
BOOST_DESCRIBE_STRUCT(gateway_response, (), (transaction_id))

/// The gateway: 401 for a wrong signature or merchant, 400 for what it does not understand. An order is charged once;
/// asked again it answers with the same transaction.
class payment_gateway {
 public:
  payment_gateway(std::string merchant_id, std::string secret_key, std::uint64_t seed);

  /// Where it is, and the switches for its faults.
  [[nodiscard]] stub_service& service() noexcept { return service_; }
  /// What was charged, in minor units by order.
  [[nodiscard]] std::map<std::string, std::int64_t> charged() const;

 private:
  otlpkit::http::response charge(const otlpkit::http::request& request);

  struct charge_record {
    std::string transaction_id;
    std::int64_t amount = 0;
  };

  std::string merchant_id_;
  std::string secret_key_;
  mutable std::mutex mutex_;
  std::map<std::string, charge_record> charges_;
  stub_service service_;  // last: it calls charge()
};

}  // namespace shop
