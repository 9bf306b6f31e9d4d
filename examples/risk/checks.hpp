// SPDX-License-Identifier: MIT
#pragma once

#include "risk/risk.hpp"

#include <otlpkit/asio/offload.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace risk {

/// A transaction as the database has it.
struct transaction {
  std::string id;
  std::string user_id;
  shop::money amount;
  std::string device_id;
  std::string country;
};

/// Asks the database on another thread: `co_await ask(s, [](shop::store& db) { ... })`.
template <class F>
auto ask(risk_services& s, F fn) {
  return otlpkit::offload(s.blocking, [&s, fn] {
    const auto db = s.database.acquire();
    return fn(*db);
  });
}

// The five checks, each in a span of its own. Scores are from 0 to 1.
boost::asio::awaitable<double> check_user_history(const transaction& t, risk_services& s);
boost::asio::awaitable<double> check_device_fingerprint(const transaction& t, risk_services& s);
boost::asio::awaitable<double> analyze_location(const transaction& t, risk_services& s);
boost::asio::awaitable<double> analyze_behavior(const transaction& t, risk_services& s);
/// Nothing when the ML service fails, is too slow, or is not asked because it was so for others.
boost::asio::awaitable<std::optional<double>> predict(const transaction& t, risk_services& s);

}  // namespace risk
