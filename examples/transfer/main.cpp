// transfer: money from one account to another under a distributed lock and a transaction, and 200 transfers at once
// SPDX-License-Identifier: MIT
#include "shared/load.hpp"
#include "shared/scenario.hpp"
#include "shared/untraced.hpp"
#include "transfer/transfer.hpp"

#include <atomic>
#include <chrono>
#include <string>

using namespace std::chrono_literals;
using bank::execute_transfer;
using bank::transfer_request;
using shop::account;

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "transfer"};
  shop::database database;
  shop::store_pool databases = database.pool(8);
  shop::shared_cache<account> shared{scenario.seed()};
  shop::account_cache accounts{shared, {.name = "accounts"}};
  shop::lock_store lock_store;
  bank::transfer_locks locks{lock_store, bank::transfer_lock_options()};
  shop::worker background{database};
  const bank::transfer_services services{databases, accounts, locks, background};
  scenario.after_each([&] { background.drain(); });  // so that traces are whole when they are printed

  const auto transfer = [&](const transfer_request& wanted) {
    const bank::transfer_result done = execute_transfer(wanted, services);
    scenario.say(to_string(wanted.amount) + " from " + wanted.from_account + " to " + wanted.to_account + ": " +
                 done.status);
  };
  const auto balance = [&](const char* id) {
    const shop::untraced quietly;
    return databases.acquire()->query_one<std::int64_t>("SELECT balance FROM accounts WHERE id = $1", id);
  };
  const auto refuse = [&](const char* why, const transfer_request& wanted) {
    return [&scenario, &transfer, why, wanted] { scenario.expect_refused(why, [&] { transfer(wanted); }); };
  };

  scenario.act("A transfer: lock, transaction, both rows locked, debit, credit, record, commit, caches, notice", [&] {
    transfer({"a-1001", "a-1002", {12'500, "EUR"}, "the rent"});
    scenario.expect(balance("a-1001") == 37'500 && balance("a-1002") == 24'500, "125.00 EUR moved");
  });
  scenario.fault("insufficient_balance", "More than there is: rolled back",
                 refuse("insufficient_balance", {"a-1002", "a-1001", {9'999'999, "EUR"}, ""}));
  scenario.fault("same_account", "To oneself", refuse("same_account", {"a-1001", "a-1001", {100, "EUR"}, ""}));
  scenario.fault("account_frozen", "To a frozen account",
                 refuse("account_frozen", {"a-1001", "a-1003", {100, "EUR"}, ""}));
  scenario.fault("currency_mismatch", "Euros to an account in dollars",
                 refuse("currency_mismatch", {"a-1001", "a-1004", {100, "EUR"}, ""}));
  scenario.fault("unknown_account", "To an account that does not exist",
                 refuse("unknown_account", {"a-1001", "a-9999", {100, "EUR"}, ""}));
  scenario.fault("unknown_account", "Neither exists: rows are locked in the order of their ids, so the first is missed",
                 refuse("unknown_account", {"a-9998", "a-9997", {100, "EUR"}, ""}));
  scenario.fault("invalid_amount", "A negative amount never reaches lock or database",
                 refuse("invalid_amount", {"a-1001", "a-1002", {-100, "EUR"}, ""}));
  scenario.fault("lock_held", "Another process holds the lock of this account, and keeps it", [&] {
    bank::transfer_locks elsewhere{lock_store, {.name = "transfer"}};
    bank::transfer_locks impatient{lock_store, {.name = "transfer", .max_wait = 0s}};
    std::optional<bank::transfer_locks::held> theirs;
    {
      const shop::untraced quietly;
      theirs = elsewhere.acquire("a-1001");
    }
    scenario.expect_failure<otlpkit::lock::lock_busy_error>([&] {
      execute_transfer({"a-1001", "a-1002", {100, "EUR"}, ""}, {databases, accounts, impatient, background});
    });
  });
  scenario.fault("locks_down", "The store of locks is down: no lock, no transfer", [&] {
    bank::transfer_locks impatient{lock_store, {.name = "transfer", .max_wait = 0s}};
    lock_store.take_down(true);
    scenario.expect_failure<shop::locks_unavailable>([&] {
      execute_transfer({"a-1001", "a-1002", {100, "EUR"}, ""}, {databases, accounts, impatient, background});
    });
    lock_store.take_down(false);
  });
  scenario.fault(
      "outcome_unknown", "No answer to COMMIT, which was lost, or its answer was: the database tells later", [&] {
        for (const auto how : {shop::commit_fault::lost, shop::commit_fault::answer_lost}) {
          const std::int64_t before = balance("a-1001");
          shop::store_pool unreliable = database.pool(1);
          unreliable.acquire()->wrapped().fail_at_commit(how);
          try {
            execute_transfer({"a-1001", "a-1002", {100, "EUR"}, ""}, {unreliable, accounts, locks, background});
            scenario.expect(false, "an error");
          } catch (const bank::outcome_unknown& e) {
            const bool took_place = settle_transfer(e.transaction_id(), services).has_value();
            scenario.say(std::string{"failed: no answer to COMMIT; the transfer "} +
                         (took_place ? "took place" : "did not take place"));
            scenario.expect(took_place == (how == shop::commit_fault::answer_lost), "the truth");
            scenario.expect(balance("a-1001") == before - (took_place ? 100 : 0), "money that has moved, or not");
          }
        }
      });
  scenario.fault("both_directions",
                 "200 transfers at once, half of them in each direction: no deadlock, and no cent more or less", [&] {
                   const std::int64_t before = balance("a-1001") + balance("a-1002");
                   std::atomic<int> moved{0}, refused{0};
                   const auto begun = std::chrono::steady_clock::now();
                   const auto thrown = shop::at_once(200, [&](int i) {
                     const shop::untraced quietly;
                     const bool there = i % 2 == 0;
                     try {
                       execute_transfer(
                           {there ? "a-1001" : "a-1002", there ? "a-1002" : "a-1001", {100 + i, "EUR"}, "in a crowd"},
                           services);
                       ++moved;
                     } catch (const shop::refused&) {
                       ++refused;
                     }
                   });
                   const auto took =
                       std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
                   for (const auto& e : thrown) scenario.say("failed: " + shop::message_of(e));
                   scenario.say(std::to_string(moved) + " done, " + std::to_string(refused) + " refused, in " +
                                std::to_string(took.count()) + " ms");
                   background.drain();
                   scenario.expect(thrown.empty() && moved + refused == 200, "every transfer to be done or refused");
                   scenario.expect(balance("a-1001") + balance("a-1002") == before, "the same sum as before");
                 });
  return scenario.finish();
}
