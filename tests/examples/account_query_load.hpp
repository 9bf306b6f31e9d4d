// SPDX-License-Identifier: MIT
#pragma once

#include "account_query/account_query.hpp"
#include "examples/load_progress.hpp"
#include "examples/load_recording.hpp"
#include "shared/load.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

/// Sixteen clients who ask for accounts in two processes that share a cache, and what must hold when they are done,
/// whatever happened meanwhile: on whichever servers DATABASE_URL and REDIS_URL name.
class account_query_load {
 public:
  static constexpr int clients = 16;
  static constexpr int each = 500;  ///< queries a client gets an answer to
  static constexpr int accounts = 300;

  account_query_load() {
    auto db = database_.connect();
    auto all = db.transaction();
    for (int i = 0; i < accounts; ++i) {
      db.execute("INSERT INTO accounts (id, user_id, balance, currency, status) VALUES ($1, $2, $3, 'EUR', $4)",
                 "l-" + std::to_string(i), "u-" + std::to_string(i), 100 * i, i % 10 == 0 ? "frozen" : "active");
    }
    all.commit();
  }

  /// \param disturb runs on this thread while the clients work
  void run(const std::function<void(account_query_load&)>& disturb) {
    std::vector<std::exception_ptr> thrown;
    std::thread load{[&] {
      thrown = shop::at_once(clients, [this](int client) { serve(client); });
      progress.over();
    }};
    disturb(*this);
    load.join();
    CHECK(thrown.empty());
  }

  [[nodiscard]] shop::shared_cache<shop::account>& shared() noexcept { return shared_; }
  [[nodiscard]] int errors() const noexcept { return errors_; }

  /// Every answer was the database's, and telemetry says what the clients were told.
  void check() {
    CHECK(wrong_ == 0);
    CHECK(answered_ + frozen_ + unknown_ == clients * each);
    CHECK(frozen_ > 0);
    CHECK(unknown_ > 0);

    recording_.finish();
    const int queries = clients * each + errors_;
    CHECK(recording_.spans("account.query") == static_cast<std::size_t>(queries));
    CHECK(recording_.sum("otlpkit.cache.lookups") == queries);
    std::int64_t loads = 0, by_level[3] = {};
    for (const auto& s : recording_.spans()) {
      if (s.name != "cache.get accounts") continue;
      const std::string& level = s.attributes.at("otlpkit.cache.level").as_string();
      ++by_level[level[1] - '1'];
      if (level == "L3" && !s.is_error() && !s.attributes.contains("otlpkit.cache.shared_flight")) ++loads;
    }
    std::int64_t asked = -errors_;  // a level is asked what it answers, and what those below it answer
    for (const std::size_t i : {2u, 1u, 0u}) {
      asked += by_level[i];
      CHECK(counts_[i].asked == asked);
      CHECK(recording_.sum("otlpkit.cache.lookups", "otlpkit.cache.level", "L" + std::to_string(i + 1)) == by_level[i]);
    }
    // One statement for each load.
    CHECK(recording_.spans("SELECT accounts") - recording_.spans("SELECT accounts", true) ==
          static_cast<std::size_t>(loads));
    CHECK(recording_.sum("otlpkit.cache.errors") > 0);  // while the shared cache was down
    // Each refusal is one error in its trace. A cache that is down is one where an account could not be taken out of
    // it, and none for who looks something up.
    const std::size_t kept = recording_.spans("cache.erase accounts", true);
    CHECK(kept > 0);
    CHECK(recording_.failures() == static_cast<std::size_t>(frozen_ + unknown_ + errors_) + kept);
    if (errors_ == 0) CHECK(recording_.unclear() == "");  // else cache and database may both have failed a lookup
    MESSAGE(answered_.load(), " answered, ", frozen_ + unknown_, " refused, ", errors_.load(), " failed");
  }

  load_progress progress{clients * each};

 private:
  void serve(int client) {
    std::mt19937_64 random{static_cast<std::uint64_t>(client)};
    bank::account_book& book = client % 2 == 0 ? one_ : other_;
    for (int done = 0; done < each;) {
      const auto n = static_cast<std::int64_t>(random() % (accounts + 20));
      const std::string id = "l-" + std::to_string(n);
      try {
        const shop::account found = book.query(id);
        ++answered_;
        if (found.balance.minor != 100 * n || found.status != "active") ++wrong_;
      } catch (const shop::refused& e) {
        ++(e.type() == "account_frozen" ? frozen_ : unknown_);
        if (e.type() == "account_frozen" ? n % 10 != 0 || n >= accounts : n < accounts) ++wrong_;
      } catch (const std::exception&) {  // not the query's fault: the client asks again
        ++errors_;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
        continue;
      }
      if (random() % 20 == 0) book.forget(id);
      ++done;
      progress.one_done();
    }
  }

  load_recording recording_;
  shop::database database_;
  shop::store_pool databases_ = database_.pool(8);
  shop::shared_cache<shop::account> shared_{1};
  bank::level_counts counts_;
  bank::account_book one_{shared_, bank::from_database(databases_), counts_, 100};
  bank::account_book other_{shared_, bank::from_database(databases_), counts_, 100};
  std::atomic<int> answered_{0}, frozen_{0}, unknown_{0}, wrong_{0}, errors_{0};
};
