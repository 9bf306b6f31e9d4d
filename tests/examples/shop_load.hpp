// SPDX-License-Identifier: MIT
#pragma once

#include "checkout/checkout.hpp"
#include "payment/surroundings.hpp"
#include "shared/load.hpp"
#include "shared/new_id.hpp"
#include "shared/untraced.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// A shop under load: eight products of which there are `pieces` each, orders from many threads, two threads that
/// process them, and what must be true of its database at any moment.
struct shop_load {
  static constexpr int products = 8;

  explicit shop_load(std::int64_t pieces_of_each) : pieces{pieces_of_each} {
    const shop::untraced not_shown;
    for (int i = 0; i < products; ++i) {
      db.execute("INSERT INTO products (id, name, price, currency, stock) VALUES ($1, 'load', $2, 'EUR', $3)",
                 product(i), 199 + 700 * i, pieces);
    }
    for (std::thread& t : threads) t = std::thread{[this] { background.run(); }};
  }
  ~shop_load() { finish(); }

  /// Waits until every order is processed.
  void finish() {
    work.reset();
    for (std::thread& t : threads) {
      if (t.joinable()) t.join();
    }
    around.blocking.join();
    around.settle();
  }

  static std::string product(int i) { return "load-" + std::to_string(i); }

  /// An order of one to three things at random.
  static std::string random_order(std::mt19937_64& random) {
    static constexpr const char* users[] = {"u-1", "u-2", "u-3"};
    static constexpr const char* methods[] = {"credit_card", "alipay", "wechat"};
    checkout::order_request request{users[random() % 3], {}, methods[random() % 3], "Rue Cler 1, 75007 Paris"};
    for (std::uint64_t n = 1 + random() % 3; n > 0; --n)
      request.items.push_back({product(static_cast<int>(random() % products)), 1 + static_cast<int>(random() % 3)});
    return shop::to_json(request);
  }

  std::int64_t count(const std::string& sql) {
    const shop::untraced not_shown;
    return db.query_one<std::int64_t>("SELECT count(*) FROM " + sql);
  }

  /// What is not as it must be: names of broken rules.
  std::vector<std::string> violations() {
    const std::string sold =
        "COALESCE((SELECT SUM(i.quantity) FROM order_items i JOIN orders o ON o.id = i.order_id "
        "WHERE i.product_id = products.id AND o.status <> 'payment_failed'), 0)";
    const auto logged = [](const std::string& operation) {
      return "COALESCE((SELECT SUM(l.quantity) FROM inventory_logs l WHERE l.product_id = products.id AND l.operation "
             "= '" +
             operation + "'), 0)";
    };
    const std::string initial = std::to_string(pieces);
    const std::pair<const char*, std::string> rules[] = {
        {"stock is below zero", "products WHERE stock < 0"},
        {"stock and reserved are not what there was",
         "products WHERE id LIKE 'load-%' AND stock + " + sold + " <> " + initial},
        {"the log does not explain the stock", "products WHERE id LIKE 'load-%' AND stock + " + logged("reserve") +
                                                   " - " + logged("release") + " <> " + initial},
        {"a payment without a paid order",
         "payments p LEFT JOIN orders o ON o.id = p.order_id AND o.status = 'paid' AND o.total = p.amount "
         "WHERE p.status = 'success' AND o.id IS NULL"},
        {"a paid order without a payment",
         "orders o LEFT JOIN payments p ON p.order_id = o.id AND p.status = 'success' "
         "WHERE o.status = 'paid' AND p.id IS NULL"},
        {"an order given up though it is paid, or may be",
         "orders o JOIN payments p ON p.order_id = o.id AND p.status IN ('processing', 'success') "
         "WHERE o.status = 'payment_failed'"},
        {"a payment without a transaction", "payments WHERE status = 'success' AND transaction_id IS NULL"},
        {"an order without items",
         "orders WHERE NOT EXISTS (SELECT 1 FROM order_items i WHERE i.order_id = orders.id)"},
        {"a notification of an order that is not paid",
         "notifications n JOIN orders o ON o.id = n.order_id WHERE o.status <> 'paid'"},
        {"a transaction for two payments",
         "(SELECT transaction_id FROM payments WHERE transaction_id IS NOT NULL GROUP BY transaction_id "
         "HAVING count(*) > 1) twice"},
    };
    std::vector<std::string> broken;
    for (const auto& [rule, rows] : rules) {
      if (count(rows) != 0) broken.emplace_back(rule);
    }
    return broken;
  }

  std::int64_t pieces;
  shop::database database;
  shop::store db = database.connect();
  payment::surroundings around{database, 1};
  shop::shared_cache<carts::cart> cache{1};
  carts::cart_cache carts{cache, {.name = "carts"}};
  boost::asio::io_context background;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{background.get_executor()};
  checkout::services services{around.database, carts, around.all, background.get_executor()};
  std::thread threads[2];
};
