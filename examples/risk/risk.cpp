// SPDX-License-Identifier: MIT
#include "risk/risk.hpp"

#include "risk/checks.hpp"
#include "shared/new_id.hpp"

#include <otlpkit/asio/asio.hpp>
#include <otlpkit/otlpkit.hpp>

#include <chrono>
#include <cmath>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace risk {
namespace {

const otlpkit::histogram scores{"risk.score",
                                {.unit = "1",
                                 .description = "Risk scores of transactions",
                                 .bounds = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}}};

/// The weighted mean of what is known; the weights of all five sum up to one.
double weigh(const std::vector<risk_factor>& factors) {
  double sum = 0, weights = 0;
  for (const risk_factor& f : factors) {
    sum += f.score * f.weight;
    weights += f.weight;
  }
  return std::round(sum / weights * 1000) / 1000;
}

std::string level_of(double score) { return score < 0.3 ? "low" : score < 0.7 ? "medium" : "high"; }

/// One statement each; a high risk is never saved without its alert.
void save(const risk_assessment& a, const transaction& t, shop::store& db) {
  const std::string id = shop::new_id("risk");
  auto all = db.transaction();
  db.execute(
      "INSERT INTO risk_assessments (id, transaction_id, score, level, degraded, created_at) "
      "VALUES ($1, $2, $3, $4, $5, $6)",
      id, t.id, a.risk_score, a.risk_level, std::int64_t{a.degraded}, shop::utc_now());
  if (a.risk_level == "high") {
    OTLPKIT_SPAN("risk.alert", {"transaction_id", t.id}, {"risk_score", a.risk_score});
    OTLPKIT_WARN("high risk", {"transaction_id", t.id}, {"risk_score", a.risk_score});
    db.execute("INSERT INTO risk_alerts (assessment_id, message) VALUES ($1, $2)", id,
               t.user_id + " pays " + to_string(t.amount) + " from " + t.country);
  }
  all.commit();
}

}  // namespace

otlpkit::http::client_options ml_options(const std::string& url) { return {.base_url = url, .timeout = 500ms}; }

asio::awaitable<risk_assessment> assess(std::string transaction_id, risk_services& s) {
  OTLPKIT_SPAN("risk.assess", {"transaction_id", transaction_id});
  shop::check_id("transaction id", transaction_id);
  const auto found = co_await ask(s, [&](shop::store& db) {
    return db.query_optional<transaction>(
        "SELECT id, user_id, amount, currency, device_id, country FROM risk_transactions WHERE id = $1",
        transaction_id);
  });
  if (!found) shop::refuse("unknown_transaction", "there is no transaction " + transaction_id);
  const transaction& t = *found;

  const auto [history, device, location, behavior, prediction] =
      co_await otlpkit::when_all(check_user_history(t, s), check_device_fingerprint(t, s), analyze_location(t, s),
                                 analyze_behavior(t, s), predict(t, s));
  risk_assessment result;
  result.factors = {{"user_history", history, 0.2},
                    {"device_fingerprint", device, 0.15},
                    {"location", location, 0.15},
                    {"behavior", behavior, 0.2}};
  if (prediction) result.factors.push_back({"ml_prediction", *prediction, 0.3});
  result.degraded = !prediction;
  result.risk_score = weigh(result.factors);
  result.risk_level = level_of(result.risk_score);
  OTLPKIT_RECORD("risk_score", result.risk_score);
  OTLPKIT_RECORD("risk_level", result.risk_level);
  OTLPKIT_RECORD("degraded", result.degraded);

  co_await ask(s, [&](shop::store& db) { save(result, t, db); });
  OTLPKIT_COUNTER("risk.assessments", {"risk_level", result.risk_level}).add();
  scores.record(result.risk_score);
  co_return result;
}

}  // namespace risk
