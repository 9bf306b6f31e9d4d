// SPDX-License-Identifier: MIT
#include "transfer/transfer.hpp"

#include "shared/new_id.hpp"

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/trace/detached.hpp>

#include <chrono>
#include <string_view>
#include <utility>

using namespace std::chrono_literals;
using shop::account;

namespace bank {
namespace {

void check(const transfer_request& wanted) {
  shop::check_id("account id", wanted.from_account);
  shop::check_id("account id", wanted.to_account);
  if (wanted.from_account == wanted.to_account) shop::refuse("same_account", "from and to are the same account");
  if (wanted.amount.minor <= 0)
    shop::refuse("invalid_amount", to_string(wanted.amount) + ": expected an amount above zero");
  if (wanted.note.size() > 140)
    shop::refuse("invalid_note", "a note of " + std::to_string(wanted.note.size()) + " bytes: expected 140 at most");
}

/// The account, and nobody else's until the transaction is over.
account lock_account(std::string_view id, shop::store& db) {
  auto found = db.query_optional<account>(
      "SELECT id, user_id, balance, currency, status FROM accounts WHERE id = $1" + shop::for_update(db), id);
  if (!found) shop::refuse("unknown_account", "there is no account " + std::string{id});
  return *std::move(found);
}

/// Both, always in the order of their ids: two transfers in opposite directions then cannot wait for each other.
std::pair<account, account> lock_accounts(const std::string& from, const std::string& to, shop::store& db) {
  if (from < to) {
    account first = lock_account(from, db);
    return {std::move(first), lock_account(to, db)};
  }
  account first = lock_account(to, db);
  return {lock_account(from, db), std::move(first)};
}

void check(const transfer_request& wanted, const account& from, const account& to) {
  for (const account* a : {&from, &to}) {
    if (a->status == "frozen") shop::refuse("account_frozen", "account " + a->id + " is frozen");
    if (a->balance.currency != wanted.amount.currency)
      shop::refuse("currency_mismatch", "account " + a->id + " is in " + a->balance.currency + ", the transfer in " +
                                            wanted.amount.currency);
  }
  if (from.balance.minor < wanted.amount.minor)
    shop::refuse("insufficient_balance", to_string(wanted.amount) + " wanted, " + to_string(from.balance) + " there");
  static_cast<void>(plus(to.balance, wanted.amount));  // refuses what does not fit
}

void move_money(const transfer_request& wanted, const transfer_result& result, shop::store& db) {
  db.execute("UPDATE accounts SET balance = balance - $1 WHERE id = $2", wanted.amount.minor, wanted.from_account);
  db.execute("UPDATE accounts SET balance = balance + $1 WHERE id = $2", wanted.amount.minor, wanted.to_account);
  db.execute(
      "INSERT INTO transactions (id, from_account, to_account, amount, currency, note, status, created_at) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
      result.transaction_id, wanted.from_account, wanted.to_account, wanted.amount.minor, wanted.amount.currency,
      wanted.note, result.status, result.timestamp);
}

/// What is done once the money has moved.
void completed(const transfer_request& wanted, const std::string& transaction_id, const transfer_services& services) {
  services.accounts.erase(wanted.from_account);
  services.accounts.erase(wanted.to_account);
  services.background.post(otlpkit::detached("transfer.notify", [wanted, transaction_id](shop::store_pool& own) {
    own.acquire()->execute(
        "INSERT INTO transfer_notices (transaction_id, user_id, text) "
        "SELECT $1, user_id, $2 FROM accounts WHERE id = $3",
        transaction_id, "you got " + to_string(wanted.amount), wanted.to_account);
  }));
  OTLPKIT_COUNTER("transfers.completed").add();
  OTLPKIT_HISTOGRAM("transfers.amount", {"currency", wanted.amount.currency})
      .record(static_cast<double>(wanted.amount.minor) / 100);
}

}  // namespace

otlpkit::lock::lock_options transfer_lock_options() {
  return {.name = "transfer", .ttl = 30s, .max_wait = 10s, .poll_interval = 10ms};
}

transfer_result execute_transfer(const transfer_request& wanted, const transfer_services& services) {
  const transfer_result result{shop::new_id("transfer"), "completed", shop::utc_now()};
  OTLPKIT_SPAN("transfer.execute", {"from_account", wanted.from_account}, {"to_account", wanted.to_account},
               {"amount", wanted.amount.minor}, {"currency", wanted.amount.currency},
               {"transaction_id", result.transaction_id});
  check(wanted);

  const auto lock = services.locks.acquire(wanted.from_account);
  auto db = services.databases.acquire();
  auto transaction = db->transaction();
  const auto [from, to] = lock_accounts(wanted.from_account, wanted.to_account, *db);
  check(wanted, from, to);
  move_money(wanted, result, *db);
  lock.ensure();  // what took longer than the lock lasts is rolled back
  try {
    transaction.commit();
  } catch (const otlpkit::db::error& e) {
    if (!is_outcome_unknown(e)) throw;
    OTLPKIT_FAIL("outcome_unknown", "no answer to COMMIT");
    throw outcome_unknown{result.transaction_id};
  }
  completed(wanted, result.transaction_id, services);
  return result;
}

std::optional<transfer_result> settle_transfer(const std::string& transaction_id, const transfer_services& services) {
  OTLPKIT_SPAN("transfer.settle", {"transaction_id", transaction_id});
  struct entry {
    transfer_request request;
    std::string status, created_at;
  };
  const auto found = services.databases.acquire()->query_optional<entry>(
      "SELECT from_account, to_account, amount, currency, note, status, created_at FROM transactions WHERE id = $1",
      transaction_id);
  if (!found) return std::nullopt;
  completed(found->request, transaction_id, services);
  return transfer_result{transaction_id, found->status, found->created_at};
}

}  // namespace bank
