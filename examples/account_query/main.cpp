// account_query: accounts out of three levels, memory, shared cache and database, and a hundred who ask at once
// SPDX-License-Identifier: MIT
#include "account_query/account_query.hpp"
#include "shared/load.hpp"
#include "shared/scenario.hpp"
#include "shared/untraced.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <string_view>
#include <thread>

using namespace std::chrono_literals;
using shop::account;

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "account_query"};
  shop::database database;
  shop::store_pool databases = database.pool(8);
  shop::shared_cache<account> shared{scenario.seed()};
  bank::level_counts counts;
  bank::account_book here{shared, bank::from_database(databases), counts};
  bank::account_book elsewhere{shared, bank::from_database(databases),
                               counts};  // another process, with an L1 of its own

  const auto query = [&](bank::account_book& book, std::string_view id) {
    const account found = book.query(id);
    scenario.say("account " + found.id + " of " + found.user_id + ": " + to_string(found.balance) + ", " +
                 found.status);
    return found;
  };

  scenario.act("The first query goes down to the database, and fills both caches on its way back",
               [&] { scenario.expect(query(here, "a-1001").balance.minor == 50'000, "the balance in the database"); });
  scenario.act("The second finds it in this process (L1), another process in the shared cache (L2)", [&] {
    query(here, "a-1001");
    query(elsewhere, "a-1001");
    query(elsewhere, "a-1001");
  });
  scenario.fault("unknown_account", "An account that does not exist: the second time L1 knows that", [&] {
    for (int i = 0; i < 2; ++i) scenario.expect_refused("unknown_account", [&] { query(here, "a-9999"); });
  });
  scenario.fault("account_frozen", "A frozen account is found, and not shown",
                 [&] { scenario.expect_refused("account_frozen", [&] { query(here, "a-1003"); }); });
  scenario.fault("cache_down", "The shared cache is down: the database answers, and L1 is filled all the same", [&] {
    shared.take_down(true);
    query(here, "a-1002");
    query(here, "a-1002");
    shared.take_down(false);
  });
  scenario.fault("stampede", "A hundred ask at once for what no cache has: one asks the database, the others wait",
                 [&] {
                   std::atomic<int> queries{0};
                   const bank::account_loader ask = bank::from_database(databases);
                   bank::account_book busy{shared,
                                           [&](std::string_view id) {
                                             ++queries;
                                             std::this_thread::sleep_for(50ms);  // a database that has more to do
                                             return ask(id);
                                           },
                                           counts};
                   const auto thrown = shop::at_once(100, [&](int) {
                     const shop::untraced quietly;
                     busy.query("a-1004");
                   });
                   scenario.say("100 queries of account a-1004, " + std::to_string(queries) + " of the database");
                   scenario.expect(thrown.empty() && queries == 1, "one query of the database");
                 });
  scenario.act("Traffic: 20,000 queries of 2,000 accounts in two processes that remember 300 each", [&] {
    {
      const shop::untraced quietly;
      auto db = database.connect();
      auto all = db.transaction();
      for (int i = 0; i < 2'000; ++i) {
        db.execute(
            "INSERT INTO accounts (id, user_id, balance, currency, status) VALUES ($1, $2, 100000, 'EUR', 'active')",
            "t-" + std::to_string(i), "u-" + std::to_string(i));
      }
      all.commit();
    }
    bank::level_counts levels;
    bank::account_book one{shared, bank::from_database(databases), levels, 300};
    bank::account_book other{shared, bank::from_database(databases), levels, 300};
    const auto thrown = shop::at_once(8, [&](int client) {
      const shop::untraced quietly;
      std::mt19937_64 random{scenario.seed() + static_cast<std::uint64_t>(client)};
      std::uniform_real_distribution<double> share;
      for (int i = 0; i < 2'500; ++i) {
        const int n = static_cast<int>(2'000 * std::pow(share(random), 4));  // some are asked for much more than others
        (client % 2 == 0 ? one : other).query("t-" + std::to_string(n));
      }
    });
    scenario.expect(thrown.empty(), "every account to be found");
    for (std::size_t i = 0; i < 3; ++i) {
      char line[80];
      std::snprintf(line, sizeof line, "L%zu answered %6lld of %6lld (%.1f %%)", i + 1,
                    static_cast<long long>(levels[i].answered), static_cast<long long>(levels[i].asked),
                    100 * levels.hit_ratio(i));
      scenario.say(line);
    }
    scenario.expect(levels[0].asked == 20'000 && levels[2].answered == levels[2].asked, "an answer to each query");
  });
  return scenario.finish();
}
