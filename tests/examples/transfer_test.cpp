// SPDX-License-Identifier: MIT
// needs: example_transfer
#include <examples/short_shape.hpp>

#include <doctest/doctest.h>

TEST_CASE("every path of transfer has the trace it should have") {
  const scenario_run run = run_scenario("transfer");
  CHECK(run.status == 0);
  CHECK(short_diff(run, "A transfer", R"(
    transfer.execute [from_account=a-1001 to_account=a-1002 amount=12500 currency=EUR transaction_id=transfer-ID]
    ├─ lock.acquire transfer
    ├─ lock.hold transfer
    ├─ BEGIN
    ├─ SELECT accounts
    ├─ SELECT accounts
    ├─ UPDATE accounts
    ├─ UPDATE accounts
    ├─ INSERT transactions
    ├─ COMMIT
    ├─ cache.erase accounts [otlpkit.cache.name=accounts]
    ├─ cache.erase accounts [otlpkit.cache.name=accounts]
    └─ transfer.notify [detached]
       └─ INSERT transfer_notices SELECT accounts
  )") == "");
  CHECK(short_diff(run, "More than there is", R"(
    transfer.execute [from_account=a-1002 to_account=a-1001 amount=9999999 currency=EUR transaction_id=transfer-ID error.type=insufficient_balance] !ERROR(99999.99 EUR wanted, 245.00 EUR there)
    ├─ lock.acquire transfer
    ├─ lock.hold transfer
    ├─ BEGIN
    ├─ SELECT accounts
    ├─ SELECT accounts
    └─ ROLLBACK
  )") == "");
  CHECK(short_diff(run, "To oneself", R"(
    transfer.execute [from_account=a-1001 to_account=a-1001 amount=100 currency=EUR transaction_id=transfer-ID error.type=same_account] !ERROR(from and to are the same account)
  )") == "");
  CHECK(short_diff(run, "To a frozen account", R"(
    transfer.execute [from_account=a-1001 to_account=a-1003 amount=100 currency=EUR transaction_id=transfer-ID error.type=account_frozen] !ERROR(account a-1003 is frozen)
    ├─ lock.acquire transfer
    ├─ lock.hold transfer
    ├─ BEGIN
    ├─ SELECT accounts
    ├─ SELECT accounts
    └─ ROLLBACK
  )") == "");
  CHECK(short_diff(run, "Euros to an account in dollars", R"(
    transfer.execute [from_account=a-1001 to_account=a-1004 amount=100 currency=EUR transaction_id=transfer-ID error.type=currency_mismatch] !ERROR(account a-1004 is in USD, the transfer in EUR)
    ├─ lock.acquire transfer
    ├─ lock.hold transfer
    ├─ BEGIN
    ├─ SELECT accounts
    ├─ SELECT accounts
    └─ ROLLBACK
  )") == "");
  CHECK(short_diff(run, "To an account that does not exist", R"(
    transfer.execute [from_account=a-1001 to_account=a-9999 amount=100 currency=EUR transaction_id=transfer-ID error.type=unknown_account] !ERROR(there is no account a-9999)
    ├─ lock.acquire transfer
    ├─ lock.hold transfer
    ├─ BEGIN
    ├─ SELECT accounts
    ├─ SELECT accounts
    └─ ROLLBACK
  )") == "");
  CHECK(short_diff(run, "A negative amount", R"(
    transfer.execute [from_account=a-1001 to_account=a-1002 amount=-100 currency=EUR transaction_id=transfer-ID error.type=invalid_amount] !ERROR(-1.00 EUR: expected an amount above zero)
  )") == "");
  CHECK(short_diff(run, "Another process holds the lock", R"(
    transfer.execute [from_account=a-1001 to_account=a-1002 amount=100 currency=EUR transaction_id=transfer-ID error.type=exception] !ERROR(left by an exception)
    └─ lock.acquire transfer !ERROR(the lock is held elsewhere)
  )") == "");
  CHECK(short_diff(run, "The store of locks is down", R"(
    transfer.execute [from_account=a-1001 to_account=a-1002 amount=100 currency=EUR transaction_id=transfer-ID error.type=exception] !ERROR(left by an exception)
    └─ lock.acquire transfer !ERROR(the store of locks does not answer)
          · exception shop::locks_unavailable: the store of locks does not answer
  )") == "");
  CHECK(run.output.find("200 done, 0 refused") != std::string::npos);
  CHECK(run.output.find("transfers.completed 201\n") != std::string::npos);
}
