// SPDX-License-Identifier: MIT
// needs: example_product_view
#include <examples/shape.hpp>

#include <doctest/doctest.h>

TEST_CASE("every path of product_view has the trace it should have") {
  const scenario_run run = run_scenario("product_view");
  CHECK(run.status == 0);
  CHECK(run.diff("The first view", R"(
    product.view [product_id=p-1001 cache_hit=false db_query_time_ms=T]
    ├─ cache.get products [otlpkit.cache.name=products otlpkit.cache.outcome=miss]
    ├─ SELECT products
    ├─ cache.set products [otlpkit.cache.name=products]
    └─ product.increment_views [detached]
       └─ UPDATE products
  )") == "");
  CHECK(run.diff("The second view", R"(
    product.view [product_id=p-1001 cache_hit=true]
    └─ cache.get products [otlpkit.cache.name=products otlpkit.cache.outcome=hit]
  )") == "");
  CHECK(run.diff("A product nobody sells", R"(
    product.view [product_id=p-9999 cache_hit=false db_query_time_ms=T error.type=unknown_product] !ERROR(nobody sells p-9999)
    ├─ cache.get products [otlpkit.cache.name=products otlpkit.cache.outcome=miss]
    └─ SELECT products
  )") == "");
  CHECK(run.diff("An id that cannot be one", R"(
    product.view [product_id="p-1001' OR 1=1 --" error.type=invalid_id] !ERROR(product id of 17 characters: expected 1 to 64 letters, digits, '-' and '_')
  )") == "");
  CHECK(run.diff("The cache is down", R"(
    product.view [product_id=p-1002 cache_hit=false db_query_time_ms=T]
    ├─ cache.get products [otlpkit.cache.name=products error.type=shop::cache_unavailable otlpkit.cache.outcome=error] !ERROR(the shared cache does not answer)
    │     · exception shop::cache_unavailable: the shared cache does not answer
    ├─ SELECT products
    ├─ cache.set products [otlpkit.cache.name=products error.type=shop::cache_unavailable otlpkit.cache.outcome=error] !ERROR(the shared cache does not answer)
    │     · exception shop::cache_unavailable: the shared cache does not answer
    └─ product.increment_views [detached]
       └─ UPDATE products
  )") == "");
}

TEST_CASE("--fault plays only that path") {
  const scenario_run run = run_scenario("product_view", "--shape --fault cache_down");
  CHECK(run.status == 0);
  CHECK(run.output.find("The cache is down") != std::string::npos);
  CHECK(run.output.find("The first view") == std::string::npos);
}

TEST_CASE("arguments that make no sense end the program with 2 and say what would") {
  for (const char* arguments :
       {"--fault nonsense", "--fault", "--seed x", "--seed -1", "--seed 99999999999999999999", "hello"}) {
    const scenario_run run = run_scenario("product_view", arguments);
    CHECK(run.status == 2);
    CHECK(run.output.find("faults: unknown_product invalid_id cache_down") != std::string::npos);
  }
}

TEST_CASE("the metrics are printed") {
  const scenario_run run = run_scenario("product_view");
  CHECK(run.output.find("product.views{source=cache} 1\n") != std::string::npos);
  CHECK(run.output.find("product.views{source=database} 2\n") != std::string::npos);
}
