// SPDX-License-Identifier: MIT
#pragma once

#include "shared/json.hpp"
#include "shared/stub_service.hpp"

#include <cstdint>
#include <string>

namespace shop {

struct behavior_question {
  std::string order_id;
  std::int64_t amount = 0;  ///< minor units
};
struct behavior_answer {
  double score = 0;  ///< 0 to 1: how unlike their owners the accounts behave
};
BOOST_DESCRIBE_STRUCT(behavior_question, (), (order_id, amount))
BOOST_DESCRIBE_STRUCT(behavior_answer, (), (score))

/// Answers POST /score: large amounts are unlike anybody.
[[nodiscard]] inline stub_service behavior_service(std::uint64_t seed) {
  const auto score = [](const otlpkit::http::request& request) {
    const auto asked = from_json<behavior_question>(request.body());
    return otlpkit::http::reply(200, to_json(behavior_answer{asked.amount < 1'000'000 ? 0.1 : 0.95}),
                                "application/json");
  };
  return stub_service{{{"POST", "/score", score}}, {.seed = seed}};
}

}  // namespace shop
