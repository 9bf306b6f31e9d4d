// SPDX-License-Identifier: MIT
// needs: example_transfer
#include <examples/short_shape.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

/// The tree of a transfer, with what is below it.
std::string transfer(const std::string& fields, const std::string& error, const std::vector<std::string>& below) {
  return tree("transfer.execute [" + fields + " currency=EUR transaction_id=transfer-ID" + error, below);
}

constexpr const char* locked = R"(
  ├─ lock.acquire transfer
  ├─ lock.hold transfer
  ├─ BEGIN
  ├─ SELECT accounts
  ├─ SELECT accounts
)";
constexpr const char* moved = R"(
  ├─ UPDATE accounts
  ├─ UPDATE accounts
  ├─ INSERT transactions
)";
const std::vector<std::string> rolled_back{locked, "└─ ROLLBACK\n"};

}  // namespace

TEST_CASE("every path of transfer has the trace it should have") {
  const scenario_run run = run_scenario("transfer");
  CHECK(run.status == 0);
  const auto check = [&run](const char* title, const std::string& expected) {
    CHECK(short_diff(run, title, expected) == "");
  };
  check("A transfer", transfer("from_account=a-1001 to_account=a-1002 amount=12500", "]", {locked, moved, R"(
    ├─ COMMIT
    ├─ cache.erase accounts [otlpkit.cache.name=accounts]
    ├─ cache.erase accounts [otlpkit.cache.name=accounts]
    └─ transfer.notify [detached]
       └─ INSERT transfer_notices SELECT accounts
  )"}));
  check("More than there is",
        transfer("from_account=a-1002 to_account=a-1001 amount=9999999",
                 " error.type=insufficient_balance] !ERROR(99999.99 EUR wanted, 245.00 EUR there)", rolled_back));
  check("To oneself", transfer("from_account=a-1001 to_account=a-1001 amount=100",
                               " error.type=same_account] !ERROR(from and to are the same account)", {}));
  check("To a frozen account", transfer("from_account=a-1001 to_account=a-1003 amount=100",
                                        " error.type=account_frozen] !ERROR(account a-1003 is frozen)", rolled_back));
  check("Euros to an account in dollars",
        transfer("from_account=a-1001 to_account=a-1004 amount=100",
                 " error.type=currency_mismatch] !ERROR(account a-1004 is in USD, the transfer in EUR)", rolled_back));
  check("To an account that does not exist",
        transfer("from_account=a-1001 to_account=a-9999 amount=100",
                 " error.type=unknown_account] !ERROR(there is no account a-9999)", rolled_back));
  check("A negative amount",
        transfer("from_account=a-1001 to_account=a-1002 amount=-100",
                 " error.type=invalid_amount] !ERROR(-1.00 EUR: expected an amount above zero)", {}));
  const std::string left = " error.type=exception] !ERROR(left by an exception)";
  check("Another process holds the lock", transfer("from_account=a-1001 to_account=a-1002 amount=100", left, {R"(
    └─ lock.acquire transfer !ERROR(the lock is held elsewhere)
  )"}));
  check("The store of locks is down", transfer("from_account=a-1001 to_account=a-1002 amount=100", left, {R"(
    └─ lock.acquire transfer !ERROR(the store of locks does not answer)
          · exception shop::locks_unavailable: the store of locks does not answer
  )"}));
  CHECK(run.output.find("200 done, 0 refused") != std::string::npos);
  CHECK(run.output.find("transfers.completed 202\n") != std::string::npos);
}

TEST_CASE("a COMMIT without an answer is in doubt, and what the database tells later counts") {
  const scenario_run run = run_scenario("transfer", "--shape --fault outcome_unknown");
  CHECK(run.status == 0);
  const std::string in_doubt = transfer("from_account=a-1001 to_account=a-1002 amount=100",
                                        " error.type=outcome_unknown] !ERROR(no answer to COMMIT)", {locked, moved, R"(
    └─ COMMIT !ERROR(COMMIT was not answered, it may have taken place)
          · exception otlpkit::db::error: COMMIT was not answered, it may have taken place
  )"});
  CHECK(short_diff(run, "No answer to COMMIT", in_doubt + "\n" + in_doubt + R"(
transfer.settle [transaction_id=transfer-ID]
└─ SELECT transactions

transfer.settle [transaction_id=transfer-ID]
├─ SELECT transactions
├─ cache.erase accounts [otlpkit.cache.name=accounts]
├─ cache.erase accounts [otlpkit.cache.name=accounts]
└─ transfer.notify [detached]
   └─ INSERT transfer_notices SELECT accounts
)") == "");
  CHECK(run.output.find("transfers.completed 1\n") != std::string::npos);
}

TEST_CASE("both rows are locked in the order of their ids, whichever way the money goes") {
  const scenario_run run = run_scenario("transfer", "--shape --fault unknown_account");
  CHECK(short_diff(run, "Neither exists",
                   transfer("from_account=a-9998 to_account=a-9997 amount=100",
                            " error.type=unknown_account] !ERROR(there is no account a-9997)", {R"(
    ├─ lock.acquire transfer
    ├─ lock.hold transfer
    ├─ BEGIN
    ├─ SELECT accounts
    └─ ROLLBACK
  )"})) == "");
}
