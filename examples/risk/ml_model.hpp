// SPDX-License-Identifier: MIT
#pragma once

#include "shared/json.hpp"
#include "shared/stub_service.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace risk {

/// What the ML service is asked, and what it answers: POST /predict.
struct ml_features {
  std::string transaction_id;
  std::string user_id;
  std::int64_t amount = 0;  ///< minor units
  std::string currency;
  std::string device_id;
  std::string country;
};
struct ml_prediction {
  double risk_score = 0;
};
BOOST_DESCRIBE_STRUCT(ml_features, (), (transaction_id, user_id, amount, currency, device_id, country))
BOOST_DESCRIBE_STRUCT(ml_prediction, (), (risk_score))

/// The ML service: in the same process, behind real HTTP. It has learned that large amounts and new devices are risks.
[[nodiscard]] std::unique_ptr<shop::stub_service> ml_service(std::uint64_t seed);

}  // namespace risk
