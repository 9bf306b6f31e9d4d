// SPDX-License-Identifier: MIT
// needs: example_shipping_quote
#include <examples/shape.hpp>

#include <otlpkit/testing/text_diff.hpp>

#include <doctest/doctest.h>

#include <regex>
#include <string>
#include <string_view>

namespace {

/// The trees of an act; of a call's halves only whose they are and what went wrong.
std::string trees(const scenario_run& run, std::string_view title) {
  std::string out = run.whole_trees(title);
  out = std::regex_replace(out, std::regex{" \\[http[^\n]*url\\.full[^\n]*error\\.type=\"?(\\w+)\"?\\]"}, " client $1");
  out = std::regex_replace(out, std::regex{" \\[http[^\n]*url\\.path[^\n]*error\\.type=\"?(\\w+)\"?\\]"}, " server $1");
  out = std::regex_replace(out, std::regex{" \\[http[^\n]*url\\.full[^\n]*\\]"}, " client");
  return std::regex_replace(out, std::regex{" \\[http[^\n]*url\\.path[^\n]*\\]"}, " server");
}

std::string diff(const scenario_run& run, std::string_view title, std::string_view expected) {
  return otlpkit::testing::text_diff(otlpkit::testing::dedent(expected), trees(run, title));
}

}  // namespace

TEST_CASE(
    "one trace of shipping_quote has the branches side by side, the detached task and both halves of every call") {
  const scenario_run run = run_scenario("shipping_quote");
  CHECK(run.status == 0);
  CHECK(diff(run, "A quote", R"(
    quote.ask [order_id=o-17]
    └─ GET /quotes/{order} client
       └─ GET /quotes/{order} server
          ├─ distance.ask [city=north]
          │  └─ GET /distances/{city} client
          │     └─ GET /distances/{city} server
          ├─ distance.ask [city=south]
          │  └─ GET /distances/{city} client
          │     └─ GET /distances/{city} server
          └─ quote.remember [order_id=o-17 cents=385] [detached]
             └─ PUT /quotes/{order} client
                └─ PUT /quotes/{order} server
  )") == "");
  CHECK(diff(run, "An order that nobody placed", R"(
    quote.ask [order_id=o-99 error.type=unknown_order] !ERROR(nobody placed o-99)
    └─ GET /quotes/{order} client 404 !ERROR
       └─ GET /quotes/{order} server
  )") == "");
  CHECK(diff(run, "One warehouse is closed", R"(
    quote.ask [order_id=o-17]
    └─ GET /quotes/{order} client
       └─ GET /quotes/{order} server
          ├─ distance.ask [city=north]
          │  └─ GET /distances/{city} client
          │     └─ GET /distances/{city} server
          ├─ distance.ask [city=south error.type=warehouse_closed] !ERROR(south is closed today)
          │  └─ GET /distances/{city} client 503 !ERROR
          │     └─ GET /distances/{city} server 503 !ERROR
          └─ quote.remember [order_id=o-17 cents=610] [detached]
             └─ PUT /quotes/{order} client
                └─ PUT /quotes/{order} server
  )") == "");
  CHECK(diff(run, "Shipping is down", R"(
    quote.ask [order_id=o-17 error.type=shipping_down] !ERROR(Connection refused)
    └─ GET /quotes/{order} client connection_refused !ERROR(Connection refused)
  )") == "");
}

TEST_CASE("the halves are of three services, each a process of its own") {
  const scenario_run run = run_scenario("shipping_quote", "--seed 7");
  CHECK(run.status == 0);
  CHECK(run.output.find("  12 spans  3 services  trace ") != std::string::npos);
  CHECK(run.output.find("@shipping ") != std::string::npos);
  CHECK(run.output.find("@warehouses ") != std::string::npos);
}
