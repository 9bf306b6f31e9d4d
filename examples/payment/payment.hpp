// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/json.hpp"
#include "shared/shared_cache.hpp"
#include "shared/shop.hpp"

#include <otlpkit/cache/traced_cache.hpp>
#include <otlpkit/http/client.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <optional>
#include <stdexcept>
#include <string>

namespace payment {

struct payment_request {
  std::string order_id;
  std::string method;  ///< "credit_card", "alipay" or "wechat"
  shop::money amount;  ///< must be the order's total
};

struct payment_result {
  std::string payment_id;
  std::string status;  ///< "success", "processing", "pending" or "rejected"
  std::optional<std::string> transaction_id;
};

/// What is known of the device an order came from, kept in the shared cache by order id.
struct device {
  double risk = 0;  ///< 0 to 1
};
BOOST_DESCRIBE_STRUCT(device, (), (risk))

using device_cache = otlpkit::cache::traced_cache<shop::shared_cache<device>&>;

/// The gateway did not take a payment.
class gateway_error : public std::runtime_error {
 public:
  gateway_error(bool retriable, const std::string& what) : std::runtime_error{what}, retriable_{retriable} {}
  [[nodiscard]] bool retriable() const noexcept { return retriable_; }

 private:
  bool retriable_;
};

/// What payments need. All of it may be shared by many payments at once.
struct services {
  shop::store_pool& database;
  device_cache& devices;
  boost::asio::thread_pool& blocking;  ///< runs what blocks: statements, calls of the cache
  otlpkit::http::client gateway;
  otlpkit::http::client behavior;  ///< the service that scores how customers behave
  std::string merchant_id;
  std::string secret_key;
};

/// Refuses what is no method of payment as "invalid_method".
void check_method(const std::string& method);

/// Pays an order, once: a payment that is there already, or under way, is returned as it is. Refused are orders that
/// cannot be paid and payments that are too risky. Throws gateway_error when the gateway did not take it: then it is
/// kept as pending, and may be tried again. `s` must live until the end.
boost::asio::awaitable<payment_result> process(payment_request request, services& s);

}  // namespace payment
