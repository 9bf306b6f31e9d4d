// risk: five checks at the same time, one of them by HTTP behind a circuit breaker that opens, half-opens and closes
// SPDX-License-Identifier: MIT
#include "risk/ml_model.hpp"
#include "risk/risk.hpp"
#include "shared/run.hpp"
#include "shared/scenario.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "risk"};
  shop::database database;
  shop::store_pool connections = database.pool(8);
  const auto ml = risk::ml_service(scenario.seed());
  const otlpkit::http::client client{risk::ml_options(ml->url())};
  const otlpkit::circuit_breaker breaker{{.name = "ml", .consecutive_failures = 2, .break_duration = 300ms}};
  risk::risk_services services{connections, client, breaker};
  scenario.after_each([&] { ml->wait_until_idle(); });

  const auto assess = [&](const char* transaction_id) {
    const risk::risk_assessment a = shop::run(risk::assess(transaction_id, services));
    char score[16];
    std::snprintf(score, sizeof score, "%.3f", a.risk_score);
    scenario.say(std::string{transaction_id} + ": " + score + ", " + a.risk_level +
                 (a.degraded ? " (without the ML service)" : ""));
    return a;
  };

  scenario.act("A payment as usual: five checks at the same time, a low risk",
               [&] { scenario.expect(assess("t-1001").risk_level == "low", "a low risk"); });
  scenario.act("Three times the usual amount, from a new device: a medium risk",
               [&] { scenario.expect(assess("t-1002").risk_level == "medium", "a medium risk"); });
  scenario.act("All of that from far away, by somebody with disputes: a high risk raises an alert",
               [&] { scenario.expect(assess("t-1003").risk_level == "high", "a high risk"); });
  scenario.fault("unknown_transaction", "A transaction nobody made",
                 [&] { scenario.expect_refused("unknown_transaction", [&] { assess("t-9999"); }); });
  scenario.fault("ml_slow", "The ML service is slow: after 500 ms the others' word must do", [&] {
    ml->slow_down(2s);
    scenario.expect(assess("t-1002").degraded, "a score without the ML service");
    ml->slow_down(0ms);
    breaker.reset();
  });
  scenario.fault("ml_down", "The ML service is down: the second failure in a row opens the circuit", [&] {
    ml->take_down(true);
    for (int i = 0; i < 2; ++i) scenario.expect(assess("t-1001").degraded, "a score without the ML service");
    scenario.expect(breaker.state() == otlpkit::circuit_state::open, "an open circuit");
  });
  scenario.fault("ml_down", "The circuit is open: the ML service is not asked",
                 [&] { scenario.expect(assess("t-1001").degraded, "a score without the ML service"); });
  scenario.fault("ml_down", "After the break it is tried again, is still down, and the circuit opens at once", [&] {
    std::this_thread::sleep_for(breaker.options().break_duration);
    assess("t-1001");
    scenario.expect(breaker.state() == otlpkit::circuit_state::open, "an open circuit");
  });
  scenario.fault("ml_down", "It is back: after the next break one good answer closes the circuit", [&] {
    ml->take_down(false);
    std::this_thread::sleep_for(breaker.options().break_duration);
    scenario.expect(!assess("t-1001").degraded, "a score with the ML service");
    scenario.expect(breaker.state() == otlpkit::circuit_state::closed, "a closed circuit");
  });
  return scenario.finish();
}
