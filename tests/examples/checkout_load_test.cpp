// SPDX-License-Identifier: MIT
// links: scenario_checkout scenario_payment
// timeout: 300
#include <examples/load_recording.hpp>
#include <examples/shop_load.hpp>

#include "shared/run.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

TEST_CASE("16 clients order more than there is, while gateway and cache fail: nothing is oversold, telemetry is true") {
  constexpr int clients = 16, orders = 150;
  load_recording telemetry;
  shop_load load{700};
  std::atomic<std::int64_t> refused{0}, pieces{0};
  std::mutex mutex;
  std::set<std::string> ids;
  const auto thrown = shop::at_once(clients, [&](int client) {
    std::mt19937_64 random{static_cast<std::uint64_t>(client)};
    for (int i = 0; i < orders; ++i) {
      if (client == 0 && i % 50 == 10) load.around.gateway.service().answer_with(503, 30);
      if (client == 1 && i % 50 == 30) load.around.gateway.service().answer_with(402, 15);
      if (client == 2 && i == 75) {  // both caches are gone for good
        load.cache.take_down(true);
        load.around.cache.take_down(true);
      }
      try {
        const std::string wanted = shop_load::random_order(random);
        const checkout::order placed = checkout::create_order(wanted, load.services);
        for (const auto& item : shop::from_json<checkout::order_request>(wanted).items) pieces += item.quantity;
        const std::lock_guard lock{mutex};
        ids.insert(placed.id);
      } catch (const shop::refused& no) {
        if (no.type() != "stock_insufficient") throw;
        ++refused;
      }
    }
  });
  for (const auto& e : thrown) FAIL_CHECK(shop::message_of(e));
  load.finish();
  telemetry.finish();

  CHECK(load.violations() == std::vector<std::string>{});
  CHECK(load.count("orders WHERE status = 'pending'") == 0);
  const std::int64_t created = load.count("orders"), paid = load.count("orders WHERE status = 'paid'");
  CHECK(created + refused == clients * orders);
  CHECK(static_cast<std::int64_t>(ids.size()) == created);
  CHECK(refused > 0);
  CHECK(paid > created / 2);
  CHECK(load.count("notifications") == paid);
  std::int64_t charged = 0;
  for (const auto& [order, amount] : load.around.gateway.charged()) charged += amount;
  const auto total = [&](const std::string& column, const std::string& from) {
    const shop::untraced not_shown;
    return load.db.query_one<std::int64_t>("SELECT CAST(COALESCE(SUM(" + column + "), 0) AS BIGINT) FROM " + from);
  };
  CHECK(pieces == total("quantity", "order_items"));
  CHECK(charged == total("amount", "payments WHERE status = 'success'"));

  CHECK(telemetry.sum("orders.created") == created);
  CHECK(telemetry.values("orders.total_amount").first == static_cast<std::uint64_t>(created));
  CHECK(std::llround(telemetry.values("orders.total_amount").second * 100) == total("total", "orders"));
  CHECK(telemetry.sum("payments.processed") == paid);
  for (const std::string method : {"credit_card", "alipay", "wechat"}) {
    CHECK(telemetry.sum("payments.processed", "method", method) ==
          load.count("payments WHERE status = 'success' AND method = '" + method + "'"));
  }
  CHECK(std::llround(telemetry.values("payments.amount").second * 100) == charged);
  CHECK(telemetry.spans("order.create") == clients * orders);
  CHECK(telemetry.spans("payment.process") == static_cast<std::size_t>(created));
  CHECK(telemetry.spans("payment.process", true) == static_cast<std::size_t>(created - paid));
  CHECK(telemetry.unclear() == "");
  CHECK(telemetry.failures() == static_cast<std::size_t>(refused) + telemetry.spans("payment.process", true));
  CHECK(telemetry.spans("cart.clear", true) > 0);
}

TEST_CASE("16 clients pay the same orders at once, over and over: each is charged once, and counted once") {
  constexpr int clients = 16, orders = 150;
  load_recording telemetry;
  shop_load load{1'000'000};
  std::vector<std::string> ids;
  {
    const shop::untraced not_shown;
    for (int i = 0; i < orders; ++i) {
      ids.push_back(shop::new_id("order"));
      load.db.execute(
          "INSERT INTO orders (id, user_id, total, currency, status, payment_method, shipping_address, created_at) "
          "VALUES ($1, 'u-1', 1290, 'EUR', 'pending', 'alipay', 'Main Street 5', $2)",
          ids.back(), shop::utc_now());
      load.db.execute("INSERT INTO order_items (order_id, product_id, quantity, price) VALUES ($1, 'p-1001', 1, 1290)",
                      ids.back());
    }
  }
  std::atomic<std::int64_t> succeeded{0}, not_taken{0};
  const auto thrown = shop::at_once(clients, [&](int client) {
    for (int i = 0; i < orders; ++i) {
      if (client == 0 && i % 40 == 20) load.around.gateway.service().answer_with(402, 5);
      const payment::payment_request request{ids[static_cast<std::size_t>(i)], "alipay", {1290}};
      try {
        if (shop::run(payment::process(request, load.around.all)).status == "success") ++succeeded;
      } catch (const payment::gateway_error&) {
        ++not_taken;
      }
    }
  });
  for (const auto& e : thrown) FAIL_CHECK(shop::message_of(e));
  load.finish();
  telemetry.finish();

  CHECK(load.violations() == std::vector<std::string>{});
  CHECK(load.count("payments") == orders);
  const std::int64_t paid = load.count("payments WHERE status = 'success'");
  CHECK(paid > orders / 2);
  CHECK(static_cast<std::int64_t>(load.around.gateway.charged().size()) == paid);
  CHECK(telemetry.sum("payments.processed", "method", "alipay") == paid);
  CHECK(telemetry.values("payments.amount").first == static_cast<std::uint64_t>(paid));
  CHECK(succeeded >= paid);
  CHECK(telemetry.spans("payment.process") == clients * orders);
  CHECK(telemetry.unclear() == "");
  CHECK(telemetry.failures() == static_cast<std::size_t>(not_taken));
}

TEST_CASE("a payment whose COMMIT has no answer may have happened: its order keeps what it has reserved") {
  for (const auto how : {shop::commit_fault::lost, shop::commit_fault::answer_lost}) {
    load_recording telemetry;
    shop_load load{10};
    shop::store_pool unreliable = load.database.pool(1);
    shop::stub_service in_between{{{"POST", "/score", [&](const auto&) {  // between claim and charge
                                      unreliable.acquire()->wrapped().fail_at_commit(how);
                                      return otlpkit::http::reply(200, R"({"score": 0.1})", "application/json");
                                    }}}};
    payment::services payments{.database = unreliable,
                               .devices = load.around.devices,
                               .blocking = load.around.blocking,
                               .gateway = load.around.all.gateway,
                               .behavior = otlpkit::http::client{in_between.url()},
                               .merchant_id = load.around.all.merchant_id,
                               .secret_key = load.around.all.secret_key};
    checkout::services services{load.around.database, load.carts, payments, load.background.get_executor()};
    std::mt19937_64 random{1};
    static_cast<void>(checkout::create_order(shop_load::random_order(random), services));
    load.finish();
    in_between.wait_until_idle();
    telemetry.finish();

    const bool happened = how == shop::commit_fault::answer_lost;
    CHECK(load.violations() == std::vector<std::string>{});
    CHECK(load.count("orders WHERE status = 'paid'") == (happened ? 1 : 0));
    CHECK(load.count("orders WHERE status = 'pending'") == (happened ? 0 : 1));
    CHECK(load.count("inventory_logs WHERE operation = 'release'") == 0);
    CHECK(load.around.gateway.charged().size() == 1);
    CHECK(telemetry.sum("payments.processed") == 0);  // nobody knows
    CHECK(telemetry.failures() == 1);
    CHECK(telemetry.unclear() == "");
    CHECK(telemetry.spans("COMMIT", true) == 1);
  }
}
