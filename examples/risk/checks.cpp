// SPDX-License-Identifier: MIT
#include "risk/checks.hpp"

#include "risk/ml_model.hpp"

#include <otlpkit/asio/fallback.hpp>
#include <otlpkit/otlpkit.hpp>

#include <algorithm>
#include <stdexcept>

namespace asio = boost::asio;

namespace risk {
namespace {

asio::awaitable<std::optional<double>> ask_ml(const ml_features& features, const otlpkit::http::client& ml) {
  const auto answer = co_await ml.post("/predict", shop::to_json(features), "application/json", "/predict");
  if (answer.result_int() != 200)
    throw std::runtime_error{"the ML service answers " + std::to_string(answer.result_int())};
  co_return shop::from_json<ml_prediction>(answer.body()).risk_score;
}

}  // namespace

asio::awaitable<double> check_user_history(const transaction& t, risk_services& s) {
  OTLPKIT_SPAN("risk.user_history");
  struct history {
    std::int64_t payments, disputed;
  };
  const auto [payments, disputed] = co_await ask(s, [&t](shop::store& db) {
    return db.query_one<history>(
        "SELECT COUNT(*), COALESCE(SUM(disputed), 0) FROM risk_transactions WHERE user_id = $1 AND id <> $2", t.user_id,
        t.id);
  });
  if (payments == 0) co_return 0.5;  // nobody knows
  co_return std::min(1.0, 2 * static_cast<double>(disputed) / static_cast<double>(payments));
}

asio::awaitable<double> check_device_fingerprint(const transaction& t, risk_services& s) {
  OTLPKIT_SPAN("risk.device_fingerprint");
  const auto known = co_await ask(s, [&t](shop::store& db) {
    return db.query_one<std::int64_t>("SELECT COUNT(*) FROM risk_devices WHERE user_id = $1 AND device_id = $2",
                                      t.user_id, t.device_id);
  });
  co_return known > 0 ? 0.05 : 0.8;
}

asio::awaitable<double> analyze_location(const transaction& t, risk_services& s) {
  OTLPKIT_SPAN("risk.location");
  const auto home = co_await ask(s, [&t](shop::store& db) {
    return db.query_one<std::string>("SELECT home_country FROM risk_users WHERE id = $1", t.user_id);
  });
  co_return home == t.country ? 0.1 : 0.8;
}

asio::awaitable<double> analyze_behavior(const transaction& t, risk_services& s) {
  OTLPKIT_SPAN("risk.behavior");
  const auto usual = co_await ask(s, [&t](shop::store& db) {
    return db.query_one<std::int64_t>(
        "SELECT CAST(COALESCE(AVG(amount), 0) AS BIGINT) FROM risk_transactions WHERE user_id = $1 AND id <> $2",
        t.user_id, t.id);
  });
  if (usual == 0) co_return 0.5;
  co_return std::clamp((static_cast<double>(t.amount.minor) / static_cast<double>(usual) - 1) / 9, 0.0, 1.0);
}

asio::awaitable<std::optional<double>> predict(const transaction& t, risk_services& s) {
  OTLPKIT_SPAN("risk.ml_prediction");
  const ml_features features{t.id, t.user_id, t.amount.minor, t.amount.currency, t.device_id, t.country};
  const otlpkit::fallback without{{.name = "without_ml"}, [] { return std::optional<double>{}; }};
  co_return co_await without.execute(
      "ml.predict", [&] { return s.ml_breaker.execute("ml.predict", [&] { return ask_ml(features, s.ml); }); });
}

}  // namespace risk
