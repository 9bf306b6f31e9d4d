// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

// The domain the scenarios share.
namespace shop {

/// An amount in the currency's smallest unit. Never floating point.
struct money {
  std::int64_t minor = 0;
  std::string currency = "EUR";  ///< ISO 4217
};

/// "12.34 EUR"
[[nodiscard]] std::string to_string(const money& amount);

struct product {
  std::string id;
  std::string name;
  money price;
  std::int64_t stock = 0;
};

/// A request that is answered with no. `type()` is the error.type of the span that refused.
class refused : public std::runtime_error {
 public:
  refused(const char* type, const std::string& message) : std::runtime_error{message}, type_{type} {}
  [[nodiscard]] std::string_view type() const noexcept { return type_; }

 private:
  const char* type_;
};

/// Refuses: the current span says why, then the exception leaves it. `type` is a literal.
[[noreturn]] void refuse(const char* type, const std::string& message);

/// Ids come from outside: 1 to 64 letters, digits, `-` and `_`. Others are refused as "invalid_id".
void check_id(std::string_view what, std::string_view id);

/// price * quantity (neither negative) and sum + amount; what does not fit, or mixes currencies, is refused as
/// "amount_overflow" or "currency_mismatch".
[[nodiscard]] money times(const money& price, std::int64_t quantity);
[[nodiscard]] money plus(const money& sum, const money& amount);

}  // namespace shop
