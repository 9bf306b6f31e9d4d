// SPDX-License-Identifier: MIT
#pragma once

#include "examples/load_progress.hpp"
#include "examples/load_recording.hpp"
#include "risk/ml_model.hpp"
#include "risk/risk.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// Sixteen clients who have transactions assessed, and what must hold when they are done, whatever happened meanwhile:
/// on the database that DATABASE_URL names.
class risk_load {
 public:
  static constexpr int clients = 16;
  static constexpr int each = 125;  ///< assessments a client gets an answer to
  static constexpr int transactions = 200;

  risk_load() {
    auto db = database_.connect();
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

  /// \param disturb runs on this thread while the clients work
  void run(const std::function<void(risk_load&)>& disturb) {
    shop::store_pool connections = database_.pool(4);
    const otlpkit::http::client http{risk::ml_options(ml->url())};
    const otlpkit::circuit_breaker breaker{
        {.name = "ml", .consecutive_failures = 5, .break_duration = std::chrono::milliseconds{20}}};
    risk::risk_services services{connections, http, breaker};
    boost::asio::io_context io;
    std::vector<std::exception_ptr> thrown(clients);
    for (int i = 0; i < clients; ++i) {
      otlpkit::co_spawn(io, serve(i, services), [this, &thrown, i](std::exception_ptr e) {
        if (e) progress.over();
        thrown[static_cast<std::size_t>(i)] = std::move(e);
      });
    }
    std::thread one{[&io] { io.run(); }}, two{[&io] { io.run(); }};
    disturb(*this);
    one.join();
    two.join();
    for (const auto& e : thrown) CHECK(e == nullptr);
    ml->wait_until_idle();
  }

  [[nodiscard]] int errors() const noexcept { return errors_; }
  [[nodiscard]] int degraded() const noexcept { return degraded_; }

  /// What the database holds is what clients and telemetry say.
  /// \param database_failed meanwhile: then a COMMIT without an answer may have happened, and of the checks of a
  ///   transaction, which run at the same time, several may have failed before one could stop the others
  void check(bool database_failed) {
    auto db = database_.connect();
    const auto number = [&db](const std::string& sql) { return db.query_one<std::int64_t>(sql); };
    struct level_count {
      std::string level;
      std::int64_t n;
    };
    const auto by_level = db.query<level_count>("SELECT level, COUNT(*) FROM risk_assessments GROUP BY level");
    const std::int64_t rows = number("SELECT COUNT(*) FROM risk_assessments");
    const std::int64_t degraded = number("SELECT COUNT(*) FROM risk_assessments WHERE degraded = 1");
    const std::int64_t high = number("SELECT COUNT(*) FROM risk_assessments WHERE level = 'high'");
    CHECK(high > 0);
    CHECK(number("SELECT COUNT(*) FROM risk_alerts") == high);
    CHECK(number("SELECT COUNT(*) FROM risk_alerts a JOIN risk_assessments r ON r.id = a.assessment_id "
                 "WHERE r.level = 'high'") == high);
    CHECK(assessed_ + refused_ == clients * each);
    CHECK((database_failed ? errors_ > 0 : errors_ == 0));

    recording_.finish();
    const auto in_doubt = static_cast<std::int64_t>(recording_.spans("COMMIT", true));  // they may have happened
    const auto about = [in_doubt](std::int64_t told, std::int64_t kept) {
      return told <= kept && kept <= told + in_doubt;
    };
    CHECK(about(assessed_, rows));
    CHECK(about(degraded_, degraded));
    CHECK(recording_.sum("risk.assessments") == assessed_);
    for (const auto& [level, n] : by_level) CHECK(about(recording_.sum("risk.assessments", "risk_level", level), n));
    CHECK(recording_.values("risk.score").first == static_cast<std::uint64_t>(assessed_));
    CHECK(recording_.spans("risk.assess") == static_cast<std::size_t>(clients * each + errors_));
    // An assessment without the ML service is none that failed.
    CHECK(recording_.spans("risk.assess", true) == static_cast<std::size_t>(refused_ + errors_));
    CHECK(recording_.failures() == static_cast<std::size_t>(refused_ + errors_));
    if (!database_failed) CHECK(recording_.unclear() == "");
    MESSAGE(rows, " assessments, ", degraded_.load(), " degraded, ", refused_.load(), " refused, ", errors_.load(),
            " failed");
  }

  load_progress progress{clients * each};
  std::unique_ptr<shop::stub_service> ml = risk::ml_service(1);

 private:
  boost::asio::awaitable<void> serve(int client, risk::risk_services& services) {
    std::mt19937_64 random{static_cast<std::uint64_t>(client)};
    for (int done = 0; done < each;) {
      bool failed = false;
      try {
        const auto found = co_await risk::assess("l-" + std::to_string(random() % (transactions + 10)), services);
        ++assessed_;
        if (found.degraded) ++degraded_;
      } catch (const shop::refused&) {
        ++refused_;
      } catch (const std::exception&) {  // not the request's fault: it is made again
        failed = true;
      }
      if (failed) {
        ++errors_;
        boost::asio::steady_timer pause{co_await boost::asio::this_coro::executor, std::chrono::milliseconds{10}};
        co_await pause.async_wait(boost::asio::use_awaitable);
        continue;
      }
      ++done;
      progress.one_done();
    }
  }

  load_recording recording_;
  shop::database database_;
  std::atomic<int> assessed_{0}, degraded_{0}, refused_{0}, errors_{0};
};
