// shipping_quote: one trace through three processes: branches in parallel, work nobody waits for, both halves of a call
// SPDX-License-Identifier: MIT
#include "shared/scenario.hpp"
#include "shared/service_process.hpp"
#include "shared/shop.hpp"

#include <otlpkit/asio/asio.hpp>
#include <otlpkit/http/client.hpp>
#include <otlpkit/http/router.hpp>
#include <otlpkit/otlpkit.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace asio = boost::asio;
namespace http = otlpkit::http;
using asio::awaitable;

// --- the client

awaitable<int> ask_quote(const http::client& shipping, std::string order) {
  OTLPKIT_SPAN("quote.ask", {"order_id", order});
  http::response answer;
  try {
    answer = co_await shipping.get("/quotes/" + order, "/quotes/{order}");  // the span goes along as a header
  } catch (const boost::system::system_error& e) {
    shop::refuse("shipping_down", e.code().message());
  }
  if (answer.result_int() == 404) shop::refuse("unknown_order", "nobody placed " + order);
  if (answer.result_int() != 200) shop::refuse("no_quote", "shipping says " + std::to_string(answer.result_int()));
  co_return std::stoi(answer.body());
}

// --- the service "shipping"

/// Kilometres from a warehouse; nothing when it is closed.
awaitable<std::optional<int>> distance_from(const http::client& warehouses, std::string city) {
  OTLPKIT_SPAN("distance.ask", {"city", city});
  const auto answer = co_await warehouses.get("/distances/" + city, "/distances/{city}");
  if (answer.result_int() != 200) {
    OTLPKIT_FAIL("warehouse_closed", answer.body());
    co_return std::nullopt;
  }
  co_return std::stoi(answer.body());
}

awaitable<void> remember(const http::client& warehouses, std::string order, int cents) {
  const auto answer =
      co_await warehouses.put("/quotes/" + order, std::to_string(cents), "text/plain", "/quotes/{order}");
  if (answer.result_int() != 200) OTLPKIT_FAIL("not_remembered", answer.body());
}

http::router shipping_routes(const http::client& warehouses) {
  http::router routes;
  routes.get("/quotes/{order}", [&](http::request& request) -> awaitable<http::response> {
    const std::string order{request.parameter("order")};
    if (order != "o-17") co_return http::reply(404);
    // In parallel: siblings, and neither sees the other's spans.
    const auto [north, south] =
        co_await otlpkit::when_all(distance_from(warehouses, "north"), distance_from(warehouses, "south"));
    if (!north && !south) co_return http::reply(503);
    const int cents = 250 + 3 * std::min(north.value_or(10'000), south.value_or(10'000));
    // Nobody waits for it, and still it is a child of this request.
    otlpkit::spawn_detached("quote.remember", {{"order_id", order}, {"cents", cents}},
                            remember(warehouses, order, cents));
    co_return http::reply(200, std::to_string(cents));
  });
  return routes;
}

// --- the service "warehouses"

http::router warehouse_routes(std::string closed, unsigned seed) {
  http::router routes;
  routes.get("/distances/{city}",
             [closed, random = std::minstd_rand{seed}](http::request& request) mutable -> awaitable<http::response> {
               asio::steady_timer map{co_await asio::this_coro::executor, std::chrono::milliseconds{3 + random() % 5}};
               co_await map.async_wait(asio::use_awaitable);
               const std::string city{request.parameter("city")};
               if (city == closed) co_return http::reply(503, city + " is closed today");
               co_return http::reply(200, city == "north" ? "120" : "45");
             });
  routes.put("/quotes/{order}", [](http::request&) -> awaitable<http::response> { co_return http::reply(200); });
  return routes;
}

int play(const shop::role& role) {
  if (role.name == "warehouses") {
    return shop::serve(role,
                       warehouse_routes(role.arguments.at(0), static_cast<unsigned>(std::stoul(role.arguments.at(1)))));
  }
  const http::client warehouses{role.arguments.at(0)};
  return shop::serve(role, shipping_routes(warehouses));
}

int main(int argc, char** argv) {
  if (const auto role = shop::role_of(argc, argv)) return play(*role);
  shop::scenario scenario{argc, argv, "shipping_quote"};

  struct services {  // stopped at the end of their act: then all of the trace is here
    services(shop::scenario& s, const std::string& closed)
        : warehouses{s, {"warehouses", {closed, std::to_string(s.seed() % 1'000'000 + 1)}}},
          shipping{s, {"shipping", {warehouses.url()}}} {}
    shop::service_process warehouses;
    shop::service_process shipping;  // stopped first: it calls the other one
  };
  const auto quote_of = [&](const std::string& order, const services& running) {
    const http::client shipping{running.shipping.url()};
    asio::io_context io;
    auto quote = otlpkit::co_spawn(io, ask_quote(shipping, order), asio::use_future);
    io.run();
    const int cents = quote.get();
    scenario.say("shipping " + order + " costs " + to_string(shop::money{cents}));
    return cents;
  };

  scenario.act("A quote: two warehouses are asked at the same time, and that it is remembered nobody waits for", [&] {
    const services running{scenario, "none"};
    scenario.expect(quote_of("o-17", running) == 385, "the price from the nearer warehouse");
  });
  scenario.fault("unknown_order", "An order that nobody placed is refused by the other process", [&] {
    const services running{scenario, "none"};
    scenario.expect_refused("unknown_order", [&] { quote_of("o-99", running); });
  });
  scenario.fault("warehouse_closed", "One warehouse is closed: its branch fails, and the other one's answer counts",
                 [&] {
                   const services running{scenario, "south"};
                   scenario.expect(quote_of("o-17", running) == 610, "the price from the warehouse that is open");
                 });
  scenario.fault("shipping_down", "Shipping is down: the trace has the client's half", [&] {
    services running{scenario, "none"};
    running.shipping.stop();
    scenario.expect_refused("shipping_down", [&] { quote_of("o-17", running); });
  });
  return scenario.finish();
}
