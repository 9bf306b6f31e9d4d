// checkout: an order reserves stock in one transaction, and is paid after the answer, or gives back what it reserved
// SPDX-License-Identifier: MIT
#include "checkout/checkout.hpp"
#include "payment/surroundings.hpp"
#include "shared/load.hpp"
#include "shared/scenario.hpp"
#include "shared/untraced.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using checkout::order;
using checkout::order_request;

std::string order_of(std::string user, std::vector<carts::cart_item> items) {
  return shop::to_json(order_request{std::move(user), std::move(items), "credit_card", "Rue Cler 1, 75007 Paris"});
}

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "checkout"};
  shop::database database;
  shop::store db = database.connect();
  payment::surroundings around{database, scenario.seed()};
  shop::shared_cache<carts::cart> shared{scenario.seed()};
  carts::cart_cache carts{shared, {.name = "carts"}};
  boost::asio::io_context background;
  checkout::services services{around.database, carts, around.all, background.get_executor()};

  const auto submit = [&](const std::string& json) {
    const order placed = checkout::create_order(json, services);
    scenario.say(placed.user_id + " has ordered for " + to_string(placed.total));
    return placed;
  };
  const auto process = [&] {  // what orders leave to the background; in this thread, so that the trees are whole
    background.restart();
    background.run();
    around.settle();
  };
  scenario.after_each(process);
  const auto buy = [&](std::string user, std::vector<carts::cart_item> items) {
    const order placed = submit(order_of(std::move(user), std::move(items)));
    process();
    return placed;
  };
  const auto status = [&](const order& of) {
    const shop::untraced not_shown;
    return db.query_one<std::string>("SELECT status FROM orders WHERE id = $1", of.id);
  };
  const auto stock = [&](const char* product) {
    const shop::untraced not_shown;
    return db.query_one<std::int64_t>("SELECT stock FROM products WHERE id = $1", product);
  };
  const auto set_stock = [&](const char* product, std::int64_t pieces) {
    const shop::untraced not_shown;
    db.execute("UPDATE products SET stock = $1 WHERE id = $2", pieces, product);
  };

  scenario.act("An order of two things: the answer comes with the COMMIT, payment and the rest follow", [&] {
    const auto cups = stock("p-1001");
    const order placed = buy("u-1", {{"p-1001", 2}, {"p-1002", 1}});
    scenario.expect(placed.total.minor == 5729, "two cups and a pot, less the 5 % of gold customers");
    scenario.expect(status(placed) == "paid", "a paid order");
    scenario.expect(stock("p-1001") == cups - 2, "two cups less");
  });
  scenario.act("A coupon that is valid, and one that has expired", [&] {
    scenario.expect(buy("u-2", {{"p-1002", 1}}).total.minor == 3105, "10 % less");
    scenario.expect(buy("u-3", {{"p-1002", 1}}).total.minor == 3450, "the full price");
  });
  scenario.fault("stock_insufficient", "More than there is: rolled back, nothing is reserved", [&] {
    const auto cups = stock("p-1001");
    scenario.expect_refused("stock_insufficient", [&] { buy("u-2", {{"p-1001", 1}, {"p-1004", 1}}); });
    scenario.expect(stock("p-1001") == cups, "as many cups as before");
  });
  scenario.fault("payment_down", "The gateway is down: the order is marked, and its stock released", [&] {
    const auto pots = stock("p-1002");
    around.gateway.service().take_down(true);
    const order placed = buy("u-3", {{"p-1002", 2}});
    around.gateway.service().take_down(false);
    scenario.expect(status(placed) == "payment_failed", "an order that could not be paid");
    scenario.expect(stock("p-1002") == pots, "as many pots as before");
  });
  scenario.fault("last_item", "Two buyers race for the last one: exactly one gets it", [&] {
    set_stock("p-1003", 1);
    const std::string user[] = {"u-2", "u-3"};
    const auto refusals = shop::at_once(2, [&](int i) { submit(order_of(user[i], {{"p-1003", 1}})); });
    for (const auto& no : refusals) scenario.say("refused: " + shop::message_of(no));
    scenario.expect(refusals.size() == 1, "one refusal");
    scenario.expect(stock("p-1003") == 0, "nothing left, and nothing owed");
  });
  scenario.fault("rejected_high_risk", "A payment that is too risky: the order is marked, and its stock released", [&] {
    set_stock("p-1001", 999);
    const order placed = submit(order_of("u-9", {{"p-1001", 999}}));
    around.cache.set(placed.id, {.risk = 0.9}, std::chrono::hours{1});  // what is known of the device
    process();
    scenario.expect(status(placed) == "payment_failed", "an order that could not be paid");
    scenario.expect(stock("p-1001") == 999, "all cups back");
  });
  scenario.fault("unknown_user", "A user nobody knows", [&] {
    scenario.expect_refused("unknown_user", [&] { buy("u-404", {{"p-1001", 1}}); });
  });
  scenario.fault("user_suspended", "A user who may not buy", [&] {
    scenario.expect_refused("user_suspended", [&] { buy("u-8", {{"p-1001", 1}}); });
  });
  scenario.fault("unknown_product", "A product nobody sells", [&] {
    scenario.expect_refused("unknown_product", [&] { buy("u-1", {{"p-9999", 1}}); });
  });
  scenario.fault("invalid_json", "What is no JSON, lacks a member or makes no sense never reaches the database", [&] {
    scenario.expect_refused("invalid_json", [&] { submit("{\"user_id\": \"u-1\", "); });
    scenario.expect_refused("invalid_json", [&] { submit(R"({"user_id": "u-1", "items": [{"product_id": "p-1"}]})"); });
    scenario.expect_refused("invalid_quantity", [&] { buy("u-1", {{"p-1001", -1}}); });
  });
  scenario.fault("cache_down", "The cache is down: the cart cannot be cleared, and the order does without", [&] {
    shared.take_down(true);
    scenario.expect(status(buy("u-1", {{"p-1001", 1}})) == "paid", "a paid order");
    shared.take_down(false);
  });
  return scenario.finish();
}
