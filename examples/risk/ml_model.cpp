// SPDX-License-Identifier: MIT
#include "risk/ml_model.hpp"

#include <cmath>

namespace http = otlpkit::http;

namespace risk {

std::unique_ptr<shop::stub_service> ml_service(std::uint64_t seed) {
  const auto predict = [](const http::request& request) {
    try {
      const auto seen = shop::from_json<ml_features>(request.body());
      const double large = std::log2(1 + static_cast<double>(seen.amount) / 10'000);
      const double evidence = large - 3 + (seen.device_id == "d-new" ? 1 : 0);
      return http::reply(200, shop::to_json(ml_prediction{1 / (1 + std::exp(-evidence))}), "application/json");
    } catch (const shop::refused& no) {
      return http::reply(400, no.what());
    }
  };
  return std::make_unique<shop::stub_service>(std::vector<shop::stub_service::route>{{"POST", "/predict", predict}},
                                              shop::stub_options{.seed = seed});
}

}  // namespace risk
