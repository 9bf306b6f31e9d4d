// SPDX-License-Identifier: MIT
#pragma once

#include "examples/short_shape.hpp"

#include <string>
#include <string_view>

/// What the trees of payments are made of, alone and as part of an order.
namespace payment_shape {

inline constexpr const char* claimed = R"(
  ├─ payment.idempotency_check
  │  ├─ BEGIN
  │  ├─ SELECT orders
  │  ├─ SELECT payments
  │  ├─ INSERT payments
  │  └─ COMMIT
)";

/// \param device what the cache said of it
[[nodiscard]] inline std::string assessed(const std::string& score = "0.09",
                                          const std::string& device = "otlpkit.cache.outcome=miss]") {
  return "├─ payment.risk_assessment [risk_score=" + score + R"(]
│  ├─ payment.user_risk
│  │  └─ SELECT users SELECT orders
│  ├─ payment.device_risk
│  │  └─ cache.get devices [otlpkit.cache.name=devices )" +
         device + R"(
│  └─ payment.behavior_risk
│     └─ POST /score
│        └─ POST /score
)";
}

inline constexpr const char* charged = R"(
  ├─ payment.gateway_call [otlpkit.retry.attempt=1 otlpkit.retry.max_attempts=3]
  │  └─ POST /charges
  │     └─ POST /charges
)";

inline constexpr const char* saved = R"(
  ├─ BEGIN
  ├─ UPDATE payments
  ├─ UPDATE orders
  └─ COMMIT
)";

/// An attempt that failed.
/// \param number from 1, with the wait before it
/// \param then   what the retry decided
/// \param server whether it was there, and what it made of its span
[[nodiscard]] inline std::string failed_attempt(const std::string& number, const std::string& then,
                                                const std::string& why, const std::string& server) {
  return "├─ payment.gateway_call [otlpkit.retry.attempt=" + number +
         " error.type=payment::gateway_error otlpkit.retry.handled=" + then + "] !ERROR(" + why +
         ")\n│  │  · exception payment::gateway_error: " + why + "\n│  └─ POST /charges !ERROR" + server + "\n";
}

/// Three attempts at a gateway that is down, and the payment that stays pending.
[[nodiscard]] inline std::string gateway_down() {
  const auto attempt = [](const std::string& number, const std::string& then) {
    return failed_attempt(number, then, "no answer from the gateway: Connection refused", "(Connection refused)");
  };
  return attempt("1 otlpkit.retry.max_attempts=3", "true") +
         attempt("2 otlpkit.retry.max_attempts=3 otlpkit.retry.delay_ms=200.0", "true") +
         attempt("3 otlpkit.retry.max_attempts=3 otlpkit.retry.delay_ms=400.0",
                 "true otlpkit.retry.stopped_by=max_attempts") +
         "└─ UPDATE payments\n";
}

}  // namespace payment_shape
