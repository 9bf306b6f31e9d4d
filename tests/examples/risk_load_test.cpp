// SPDX-License-Identifier: MIT
// links: scenario_risk
#include "examples/load_recording.hpp"
#include "risk/ml_model.hpp"
#include "risk/risk.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr int clients = 16, each = 125, transactions = 200;

struct tally {
  std::atomic<int> done{0}, assessed{0}, degraded{0}, refused{0};
};

asio::awaitable<void> client(int number, risk::risk_services& services, tally& counts) {
  std::mt19937_64 random{static_cast<std::uint64_t>(number)};
  for (int i = 0; i < each; ++i) {
    try {
      const auto found = co_await risk::assess("l-" + std::to_string(random() % (transactions + 10)), services);
      ++counts.assessed;
      if (found.degraded) ++counts.degraded;
    } catch (const shop::refused&) {
      ++counts.refused;
    }
    ++counts.done;
    counts.done.notify_all();
  }
}

void wait_for(const std::atomic<int>& done, int wanted) {
  for (int n = done; n < wanted; n = done) done.wait(n);
}

}  // namespace

TEST_CASE("2,000 assessments by 16 clients, the ML service gone for a third of them: each is saved and counted once") {
  load_recording recording;
  shop::database database;
  {
    auto db = database.connect();
    auto all = db.transaction();
    std::mt19937_64 random{1};
    for (int i = 0; i < transactions; ++i) {
      const bool odd = random() % 3 == 0;
      db.execute(
          "INSERT INTO risk_transactions (id, user_id, amount, currency, device_id, country, disputed) "
          "VALUES ($1, $2, $3, 'EUR', $4, $5, $6)",
          "l-" + std::to_string(i), "u-3", static_cast<std::int64_t>(odd ? 900'000 : 9'000),
          odd ? "d-new" : "d-phone-3", odd ? "KY" : "PT", static_cast<std::int64_t>(odd ? 1 : 0));
    }
    all.commit();
  }
  tally counts;
  const auto ml = risk::ml_service(1);
  {
    shop::store_pool connections = database.pool(4);
    const otlpkit::http::client http{risk::ml_options(ml->url())};
    const otlpkit::circuit_breaker breaker{{.name = "ml", .consecutive_failures = 5, .break_duration = 20ms}};
    risk::risk_services services{connections, http, breaker};
    asio::io_context io;
    std::vector<std::exception_ptr> thrown(clients);
    for (int i = 0; i < clients; ++i) {
      otlpkit::co_spawn(io, client(i, services, counts), [&thrown, &counts, i](std::exception_ptr e) {
        if (e) counts.done += clients * each;  // nobody waits for it
        counts.done.notify_all();
        thrown[static_cast<std::size_t>(i)] = std::move(e);
      });
    }
    std::thread one{[&io] { io.run(); }}, two{[&io] { io.run(); }};
    wait_for(counts.done, clients * each / 3);
    ml->take_down(true);
    wait_for(counts.done, 2 * clients * each / 3);
    ml->take_down(false);
    one.join();
    two.join();
    for (const auto& e : thrown) CHECK(e == nullptr);
  }
  ml->wait_until_idle();
  CHECK(counts.assessed + counts.refused == clients * each);
  CHECK(counts.degraded > 0);
  CHECK(counts.degraded < counts.assessed);

  auto db = database.connect();
  const auto number = [&db](const std::string& sql) { return db.query_one<std::int64_t>(sql); };
  const std::int64_t rows = number("SELECT COUNT(*) FROM risk_assessments");
  CHECK(rows == counts.assessed);
  CHECK(number("SELECT COUNT(*) FROM risk_assessments WHERE degraded = 1") == counts.degraded);
  const std::int64_t high = number("SELECT COUNT(*) FROM risk_assessments WHERE level = 'high'");
  CHECK(high > 0);
  CHECK(number("SELECT COUNT(*) FROM risk_alerts") == high);
  struct level_count {
    std::string level;
    std::int64_t n;
  };
  const auto by_level = db.query<level_count>("SELECT level, COUNT(*) FROM risk_assessments GROUP BY level");

  recording.finish();
  CHECK(recording.sum("risk.assessments") == rows);
  for (const auto& [level, n] : by_level) CHECK(recording.sum("risk.assessments", "risk_level", level) == n);
  CHECK(recording.values("risk.score").first == static_cast<std::uint64_t>(rows));
  CHECK(recording.spans("risk.assess") == clients * each);
  CHECK(recording.spans("risk.assess", true) == static_cast<std::size_t>(counts.refused));
  CHECK(recording.spans("risk.alert") == static_cast<std::size_t>(high));
  // An assessment without the ML service is none that failed.
  CHECK(recording.failed_traces() == static_cast<std::size_t>(counts.refused));
  CHECK(recording.root_causes().rbegin()->first == 1);
}
