// SPDX-License-Identifier: MIT
#pragma once

#include "examples/load_progress.hpp"
#include "examples/load_recording.hpp"
#include "shared/load.hpp"
#include "transfer/transfer.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// Sixteen clients who transfer money between a few accounts, and what must hold when they are done, whatever happened
/// meanwhile: on whichever servers DATABASE_URL and REDIS_URL name.
class transfer_load {
 public:
  static constexpr int clients = 16;
  static constexpr int each = 250;  ///< transfers a client gets an answer to
  static constexpr std::int64_t accounts = 10, opening_balance = 100'000;

  explicit transfer_load(otlpkit::lock::lock_options locks = {.name = "transfer",
                                                              .max_wait = std::chrono::seconds{20},
                                                              .poll_interval = std::chrono::milliseconds{5}})
      : locks_{lock_store_, std::move(locks)} {
    auto db = database_.connect();
    for (std::int64_t i = 0; i < accounts; ++i) {
      db.execute("INSERT INTO accounts (id, user_id, balance, currency, status) VALUES ($1, $2, $3, $4, $5)", id(i),
                 "u-" + id(i), opening_balance, i == 8 ? "USD" : "EUR", i == 9 ? "frozen" : "active");
    }
  }

  /// \param disturb runs on this thread while the clients work
  void run(const std::function<void(transfer_load&)>& disturb = [](transfer_load&) {}) {
    std::thread load{[this] {
      thrown_ = shop::at_once(clients, [this](int client) { serve(client); });
      progress.over();
    }};
    disturb(*this);
    load.join();
    background_.drain();
    settle();
    background_.drain();
  }

  /// Waits until so many more calls have failed for reasons that were not the request's, or all is done.
  void wait_for_errors(int more) {
    for (const int from = errors_; errors_ < from + more && !progress.is_over();)
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
  }
  shop::shared_cache<shop::account>& shared() noexcept { return shared_; }
  [[nodiscard]] int errors() const noexcept { return errors_; }

  /// What the database holds is what clients and telemetry say.
  /// \param undisturbed nothing but the requests themselves was refused
  void check(bool undisturbed) {
    CHECK(thrown_.empty());
    auto db = database_.connect();
    const auto number = [&db](const std::string& sql) { return db.query_one<std::int64_t>(sql); };
    const auto ours = std::string{" WHERE id LIKE 'l-%'"};
    CHECK(number("SELECT CAST(SUM(balance) AS BIGINT) FROM accounts" + ours) == accounts * opening_balance);
    CHECK(number("SELECT MIN(balance) FROM accounts" + ours) >= 0);
    // Each account: what it had, what came and what went.
    CHECK(number("SELECT COUNT(*) FROM accounts a WHERE id LIKE 'l-%' AND balance <> " +
                 std::to_string(opening_balance) +
                 " + (SELECT COALESCE(SUM(amount), 0) FROM transactions t WHERE t.to_account = a.id)"
                 " - (SELECT COALESCE(SUM(amount), 0) FROM transactions t WHERE t.from_account = a.id)") == 0);
    const std::int64_t rows = number("SELECT COUNT(*) FROM transactions");
    const std::int64_t amount = number("SELECT CAST(SUM(amount) AS BIGINT) FROM transactions");
    const std::int64_t notices = number("SELECT COUNT(*) FROM transfer_notices");
    CHECK(rows == completed_);
    CHECK(amount == moved_);
    CHECK((undisturbed ? notices == rows : notices <= rows));
    CHECK(refused_["insufficient_balance"] > 0);

    recording_.finish();
    CHECK(recording_.sum("transfers.completed") == rows);
    CHECK(recording_.values("transfers.amount").first == static_cast<std::uint64_t>(rows));
    CHECK(std::llround(recording_.values("transfers.amount").second * 100) == amount);
    CHECK(recording_.spans("transfer.execute") == static_cast<std::size_t>(clients * each + errors_));
    int refusals = 0;
    for (const auto& [why, n] : refused_) refusals += n;
    CHECK(recording_.spans("transfer.execute", true) == static_cast<std::size_t>(refusals + errors_));
    CHECK(recording_.unclear() == "");
    if (undisturbed) {
      CHECK(errors_ == 0);
      CHECK(recording_.failures() == static_cast<std::size_t>(refusals));
    }
    MESSAGE(rows, " transfers, ", refusals, " refused, ", errors_.load(), " failed, ", unknown_.size(), " in doubt");
  }

  load_progress progress{clients * each};

 private:
  static std::string id(std::int64_t i) { return "l-" + std::to_string(i); }

  void serve(int client) {
    std::mt19937_64 random{static_cast<std::uint64_t>(client) + 1};
    const bank::transfer_services services{databases_, cache_, locks_, background_};
    for (int done = 0; done < each;) {
      const auto from = static_cast<std::int64_t>(random() % accounts),
                 to = static_cast<std::int64_t>(random() % accounts);
      const bank::transfer_request wanted{id(from),
                                          id(to),
                                          {static_cast<std::int64_t>(1 + random() % 40'000), "EUR"},
                                          "client " + std::to_string(client)};
      try {
        execute_transfer(wanted, services);
        moved_ += wanted.amount.minor;
        ++completed_;
      } catch (const bank::outcome_unknown& e) {
        const std::lock_guard lock{mutex_};
        unknown_.emplace_back(e.transaction_id(), wanted.amount.minor);
        ++refused_["outcome_unknown"];
      } catch (const shop::refused& e) {
        const std::lock_guard lock{mutex_};
        ++refused_[std::string{e.type()}];
      } catch (const std::exception& e) {  // not the request's fault: it is made again
        ++errors_;
        std::this_thread::sleep_for(std::chrono::milliseconds{10});
        continue;
      }
      ++done;
      progress.one_done();
    }
  }

  /// The database knows what it was not heard to say.
  void settle() {
    const bank::transfer_services services{databases_, cache_, locks_, background_};
    for (const auto& [transaction, amount] : unknown_) {
      if (!settle_transfer(transaction, services)) continue;
      ++completed_;
      moved_ += amount;
    }
  }

  load_recording recording_;
  shop::database database_;
  shop::store_pool databases_ = database_.pool(8);
  shop::shared_cache<shop::account> shared_{1};
  shop::account_cache cache_{shared_, {.name = "accounts"}};
  shop::lock_store lock_store_;
  bank::transfer_locks locks_;
  shop::worker background_{database_};

  std::vector<std::exception_ptr> thrown_;
  std::atomic<int> errors_{0};
  std::atomic<std::int64_t> completed_{0}, moved_{0};
  std::mutex mutex_;
  std::map<std::string, int> refused_;
  std::vector<std::pair<std::string, std::int64_t>> unknown_;
};
