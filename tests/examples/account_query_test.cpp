// SPDX-License-Identifier: MIT
// needs: example_account_query
#include <examples/shape.hpp>

#include <doctest/doctest.h>

#include <regex>
#include <string>

TEST_CASE("every path of account_query has the trace it should have") {
  const scenario_run run = run_scenario("account_query");
  CHECK(run.status == 0);
  CHECK(run.diff("The first query", R"(
    account.query [account_id=a-1001 cache_level=L3]
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=miss otlpkit.cache.level=L3]
       └─ SELECT accounts
  )") == "");
  CHECK(run.diff("The second finds it", R"(
    account.query [account_id=a-1001 cache_level=L1]
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=hit otlpkit.cache.level=L1 otlpkit.cache.age_ms=T]

    account.query [account_id=a-1001 cache_level=L2]
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=hit otlpkit.cache.level=L2]

    account.query [account_id=a-1001 cache_level=L1]
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=hit otlpkit.cache.level=L1 otlpkit.cache.age_ms=T]
  )") == "");
  CHECK(run.diff("An account that does not exist", R"(
    account.query [account_id=a-9999 cache_level=L3 error.type=unknown_account] !ERROR(there is no account a-9999)
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=miss otlpkit.cache.level=L3]
       └─ SELECT accounts

    account.query [account_id=a-9999 cache_level=L1 error.type=unknown_account] !ERROR(there is no account a-9999)
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=negative otlpkit.cache.level=L1 otlpkit.cache.age_ms=T]
  )") == "");
  CHECK(run.diff("A frozen account", R"(
    account.query [account_id=a-1003 cache_level=L3 error.type=account_frozen] !ERROR(account a-1003 is frozen)
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=miss otlpkit.cache.level=L3]
       └─ SELECT accounts
  )") == "");
  CHECK(run.diff("The shared cache is down", R"(
    account.query [account_id=a-1002 cache_level=L3]
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=miss otlpkit.cache.level=L3]
       │  · exception shop::cache_unavailable: the shared cache does not answer [otlpkit.cache.level=L2]
       │  · exception shop::cache_unavailable: the shared cache does not answer [otlpkit.cache.level=L2]
       └─ SELECT accounts

    account.query [account_id=a-1002 cache_level=L1]
    └─ cache.get accounts [otlpkit.cache.name=accounts otlpkit.cache.outcome=hit otlpkit.cache.level=L1 otlpkit.cache.age_ms=T]
  )") == "");
  CHECK(run.output.find("100 queries of account a-1004, 1 of the database") != std::string::npos);
  CHECK(std::regex_search(run.output, std::regex{"L1 answered +[0-9]+ of  20000"}));
  CHECK(std::regex_search(run.output, std::regex{"account.cache_hit_ratio\\{cache_level=L2\\} 0\\.[0-9]+"}));
}
