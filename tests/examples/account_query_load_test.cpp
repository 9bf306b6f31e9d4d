// SPDX-License-Identifier: MIT
// links: scenario_account_query
#include "account_query/account_query.hpp"
#include "examples/load_recording.hpp"
#include "shared/load.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>

TEST_CASE("8,000 queries of 16 clients in two processes: every answer is the database's, and levels add up") {
  constexpr int clients = 16, each = 500, accounts = 300;
  load_recording recording;
  shop::database database;
  {
    auto db = database.connect();
    auto all = db.transaction();
    for (int i = 0; i < accounts; ++i) {
      db.execute("INSERT INTO accounts (id, user_id, balance, currency, status) VALUES ($1, $2, $3, 'EUR', $4)",
                 "l-" + std::to_string(i), "u-" + std::to_string(i), 100 * i, i % 10 == 0 ? "frozen" : "active");
    }
    all.commit();
  }
  std::atomic<int> answered{0}, frozen{0}, unknown{0}, wrong{0};
  bank::level_counts counts;
  {
    shop::store_pool databases = database.pool(8);
    shop::shared_cache<shop::account> shared{1};
    bank::account_book one{shared, bank::from_database(databases), counts, 100};
    bank::account_book other{shared, bank::from_database(databases), counts, 100};
    const auto thrown = shop::at_once(clients, [&](int client) {
      std::mt19937_64 random{static_cast<std::uint64_t>(client)};
      bank::account_book& book = client % 2 == 0 ? one : other;
      for (int i = 0; i < each; ++i) {
        if (client == 0 && i == each / 3) shared.take_down(true);
        if (client == 0 && i == 2 * each / 3) shared.take_down(false);
        const auto n = static_cast<std::int64_t>(random() % (accounts + 20));
        try {
          const shop::account found = book.query("l-" + std::to_string(n));
          ++answered;
          if (found.balance.minor != 100 * n || found.status != "active") ++wrong;
        } catch (const shop::refused& e) {
          ++(e.type() == "account_frozen" ? frozen : unknown);
          if (e.type() == "account_frozen" ? n % 10 != 0 || n >= accounts : n < accounts) ++wrong;
        }
        if (random() % 20 == 0) book.forget("l-" + std::to_string(n));
      }
    });
    CHECK(thrown.empty());
  }
  CHECK(wrong == 0);
  CHECK(answered + frozen + unknown == clients * each);
  CHECK(frozen > 0);
  CHECK(unknown > 0);

  recording.finish();
  CHECK(recording.spans("account.query") == clients * each);
  CHECK(recording.sum("otlpkit.cache.lookups") == clients * each);
  CHECK(counts[0].asked == clients * each);
  std::int64_t loads = 0, by_level[3] = {};
  for (const auto& s : recording.spans()) {
    if (s.name != "cache.get accounts") continue;
    const std::string& level = s.attributes.at("otlpkit.cache.level").as_string();
    ++by_level[level[1] - '1'];
    if (level == "L3" && !s.attributes.contains("otlpkit.cache.shared_flight")) ++loads;
  }
  for (int i = 0; i < 3; ++i)
    CHECK(recording.sum("otlpkit.cache.lookups", "otlpkit.cache.level", "L" + std::to_string(i + 1)) == by_level[i]);
  CHECK(recording.spans("SELECT accounts") == static_cast<std::size_t>(loads));  // one statement for each load
  CHECK(recording.sum("otlpkit.cache.errors") > 0);                              // while it was down
  // Each refusal is one error in its trace. A cache that is down is one where an account could not be taken out of it,
  // and none for who looks something up.
  const std::size_t kept = recording.spans("cache.erase accounts", true);
  CHECK(kept > 0);
  CHECK(recording.failed_traces() == static_cast<std::size_t>(frozen + unknown) + kept);
  CHECK(recording.root_causes().rbegin()->first == 1);
}
