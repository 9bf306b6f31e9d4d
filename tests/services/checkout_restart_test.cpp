// SPDX-License-Identifier: MIT
// links: scenario_checkout scenario_payment PostgreSQL::PostgreSQL
// timeout: 300
#include <examples/load_recording.hpp>
#include <examples/shop_load.hpp>
#include "services/real_servers.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST_CASE(
    "PostgreSQL dies and comes back under 16 clients: errors are reported as such, and nothing is sold twice or lost") {
  constexpr std::int64_t wanted = 1'200;
  real_servers servers;
  load_recording telemetry;
  std::atomic<std::int64_t> placed{0}, refused{0}, failed{0}, after{0};
  std::atomic<bool> restarted{false};
  {
    shop_load load{100'000};
    std::vector<std::exception_ptr> thrown;
    std::thread clients{[&] {
      thrown = shop::at_once(16, [&](int client) {
        std::mt19937_64 random{static_cast<std::uint64_t>(client)};
        while (placed < wanted || after < 100) {
          try {
            static_cast<void>(checkout::create_order(shop_load::random_order(random), load.services));
            ++placed;
            if (restarted) ++after;
          } catch (const shop::refused&) {
            ++refused;
          } catch (const otlpkit::db::error&) {
            ++failed;
            std::this_thread::sleep_for(5ms);  // a client that tries again
          }
        }
      });
    }};
    while (placed < wanted / 2) std::this_thread::yield();
    servers.postgres.restart();
    restarted = true;
    clients.join();
    for (const auto& e : thrown) FAIL_CHECK(shop::message_of(e));
    load.finish();
    load.db = load.database.connect();  // the one from before is broken
    telemetry.finish();

    CHECK(load.violations() == std::vector<std::string>{});
    CHECK(failed > 0);
    CHECK(after >= 100);
    CHECK(refused == 0);
    // A COMMIT whose answer was lost may have happened.
    const std::int64_t in_doubt = static_cast<std::int64_t>(telemetry.spans("COMMIT", true));
    const std::int64_t orders = load.count("orders"), paid = load.count("orders WHERE status = 'paid'");
    CHECK(telemetry.sum("orders.created") == placed);
    CHECK(orders >= placed);
    CHECK(orders <= placed + in_doubt);
    CHECK(paid >= telemetry.sum("payments.processed"));
    CHECK(paid <= telemetry.sum("payments.processed") + in_doubt);
    CHECK(telemetry.spans("order.create", true) == static_cast<std::size_t>(failed));
    CHECK(telemetry.unclear() == "");
    // Whoever was charged has an order that is paid, or one whose payment is kept as unfinished business.
    for (const auto& [order, amount] : load.around.gateway.charged())
      CHECK(load.count("payments WHERE order_id = '" + order + "' AND status IN ('success', 'processing')") == 1);
  }
}
