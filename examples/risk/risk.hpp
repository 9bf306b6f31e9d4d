// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/shop.hpp"

#include <otlpkit/asio/circuit_breaker.hpp>
#include <otlpkit/http/client.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <string>
#include <vector>

namespace risk {

struct risk_factor {
  std::string name;
  double score = 0;  ///< from 0, nothing speaks against it, to 1
  double weight = 0;
};

struct risk_assessment {
  double risk_score = 0;
  std::string risk_level;  ///< "low", "medium" or "high"
  std::vector<risk_factor> factors;
  bool degraded = false;  ///< without the ML service, which did not answer
};

struct risk_services {
  shop::store_pool& database;
  const otlpkit::http::client& ml;             ///< with ml_options()
  const otlpkit::circuit_breaker& ml_breaker;  ///< one for all who ask the ML service
  boost::asio::thread_pool blocking{4};        ///< where the database is waited for
};

/// The ML service has 500 ms for an answer.
[[nodiscard]] otlpkit::http::client_options ml_options(const std::string& url);

/// How likely it is a fraud: five checks at the same time. Saved, and told as an alert if it is high. Refuses
/// "invalid_id" and "unknown_transaction".
boost::asio::awaitable<risk_assessment> assess(std::string transaction_id, risk_services& s);

}  // namespace risk
