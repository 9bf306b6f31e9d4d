// SPDX-License-Identifier: MIT
// needs: example_cart
#include <examples/shape.hpp>

#include <doctest/doctest.h>

#include <string>

TEST_CASE("every path of cart has the trace it should have") {
  const scenario_run run = run_scenario("cart");
  CHECK(run.status == 0);
  CHECK(run.diff("The first thing makes a cart", R"(
    cart.add_item [user_id=u-1 product_id=p-1001 quantity=2]
    ├─ SELECT products
    ├─ cache.get carts [otlpkit.cache.name=carts otlpkit.cache.outcome=miss]
    ├─ cart.calculate_total [item_count=1]
    │  └─ SELECT products
    └─ cache.set carts [otlpkit.cache.name=carts]
  )") == "");
  const auto added = [](const std::string& product, int lines) {
    return tree("cart.add_item [user_id=u-1 product_id=" + product + " quantity=1]",
                {R"(
    ├─ SELECT products
    ├─ cache.get carts [otlpkit.cache.name=carts otlpkit.cache.outcome=hit]
)",
                 "├─ cart.calculate_total [item_count=" + std::to_string(lines) + "]\n", R"(
    │  └─ SELECT products
    └─ cache.set carts [otlpkit.cache.name=carts]
  )"});
  };
  CHECK(run.diff("More of the same", added("p-1001", 1) + "\n" + added("p-1002", 2)) == "");
  CHECK(run.diff("Looking at the cart", R"(
    cart.get [user_id=u-1]
    └─ cache.get carts [otlpkit.cache.name=carts otlpkit.cache.outcome=hit]

    cart.clear [user_id=u-1]
    └─ cache.erase carts [otlpkit.cache.name=carts otlpkit.cache.outcome=hit]

    cart.get [user_id=u-1]
    └─ cache.get carts [otlpkit.cache.name=carts otlpkit.cache.outcome=miss]
  )") == "");
  CHECK(run.diff("A product nobody sells", R"(
    cart.add_item [user_id=u-3 product_id=p-9999 quantity=1 error.type=unknown_product] !ERROR(nobody sells p-9999)
    └─ SELECT products
  )") == "");
  CHECK(run.diff("A negative quantity", R"(
    cart.add_item [user_id=u-3 product_id=p-1001 quantity=-1 error.type=invalid_quantity] !ERROR(a quantity of -1: expected 1 to 999)
  )") == "");
}

TEST_CASE("more than there is is refused, before the cart is touched and after it was read") {
  CHECK(run_scenario("cart", "--shape --fault out_of_stock").diff("More than there is", R"(
    cart.add_item [user_id=u-2 product_id=p-1004 quantity=1 error.type=out_of_stock] !ERROR(1 wanted, 0 there)
    └─ SELECT products

    cart.add_item [user_id=u-2 product_id=p-1003 quantity=2]
    ├─ SELECT products
    ├─ cache.get carts [otlpkit.cache.name=carts otlpkit.cache.outcome=miss]
    ├─ cart.calculate_total [item_count=1]
    │  └─ SELECT products
    └─ cache.set carts [otlpkit.cache.name=carts]

    cart.add_item [user_id=u-2 product_id=p-1003 quantity=2 error.type=out_of_stock] !ERROR(4 wanted, 3 there)
    ├─ SELECT products
    └─ cache.get carts [otlpkit.cache.name=carts otlpkit.cache.outcome=hit]
  )") == "");
}

TEST_CASE("a cart cannot do without the cache, and the error is where it happened") {
  CHECK(run_scenario("cart", "--shape --fault cache_down").diff("The cache is down", R"(
    cart.add_item [user_id=u-4 product_id=p-1001 quantity=1 error.type=exception] !ERROR(left by an exception)
    ├─ SELECT products
    └─ cache.get carts [otlpkit.cache.name=carts error.type=shop::cache_unavailable otlpkit.cache.outcome=error] !ERROR(the shared cache does not answer)
          · exception shop::cache_unavailable: the shared cache does not answer
  )") == "");
}

TEST_CASE("a metric labelled by user is bounded: 2,000 series and one for the rest") {
  const scenario_run run = run_scenario("cart");
  CHECK(run.output.find("cart.items_added 4\n") != std::string::npos);
  CHECK(run.output.find("cart.size ... 2001 series in all") != std::string::npos);
}
