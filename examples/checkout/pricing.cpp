// SPDX-License-Identifier: MIT
#include "checkout/pricing.hpp"

#include "shared/new_id.hpp"

#include <otlpkit/otlpkit.hpp>

#include <optional>

using shop::money;

namespace checkout {
namespace {

struct coupon {
  std::string code;
  std::int64_t percent = 0;
  std::string valid_until;
};

/// The percentage the user's coupon takes off; 0 without one, or when it has expired.
std::int64_t validate_coupon(const user& buyer, shop::store& db) {
  OTLPKIT_SPAN("coupon.validate");
  const auto found =
      db.query_optional<coupon>("SELECT code, percent, valid_until FROM coupons WHERE user_id = $1", buyer.id);
  const bool valid = found && found->valid_until > shop::utc_now();
  if (found) OTLPKIT_RECORD("coupon", found->code);
  OTLPKIT_RECORD("valid", valid);
  return valid ? found->percent : 0;
}

money without(const money& amount, std::int64_t percent) {
  // In two parts, so that no product is too large for the type; what is left of a cent is the shop's.
  const std::int64_t off = amount.minor / 100 * percent + amount.minor % 100 * percent / 100;
  return {amount.minor - off, amount.currency};
}

money apply_discounts(const money& sum, const user& buyer, std::int64_t coupon_percent) {
  OTLPKIT_SPAN("discount.calculate", {"coupon_percent", coupon_percent}, {"tier", buyer.tier});
  const money total = without(without(sum, coupon_percent), buyer.tier == "gold" ? 5 : 0);
  OTLPKIT_RECORD("discount", sum.minor - total.minor);
  return total;
}

}  // namespace

money calculate_price(const user& buyer, const std::vector<line>& lines, shop::store& db) {
  OTLPKIT_SPAN("pricing.calculate");
  money sum{0, lines.front().price.currency};
  for (const line& l : lines) sum = plus(sum, times(l.price, l.quantity));
  const money total = apply_discounts(sum, buyer, validate_coupon(buyer, db));
  OTLPKIT_RECORD("total", total.minor);
  OTLPKIT_RECORD("currency", total.currency);
  return total;
}

}  // namespace checkout
