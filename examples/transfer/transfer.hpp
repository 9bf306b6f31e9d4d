// SPDX-License-Identifier: MIT
#pragma once

#include "shared/accounts.hpp"
#include "shared/database.hpp"
#include "shared/lock_store.hpp"
#include "shared/shop.hpp"
#include "shared/worker.hpp"

#include <otlpkit/lock/distributed_lock.hpp>

#include <optional>
#include <string>

namespace bank {

struct transfer_request {
  std::string from_account;
  std::string to_account;
  shop::money amount;
  std::string note;
};

struct transfer_result {
  std::string transaction_id;
  std::string status;
  std::string timestamp;  ///< UTC
};

/// Whether the money was moved is not known: the database did not answer to COMMIT. settle_transfer() finds out.
class outcome_unknown : public shop::refused {
 public:
  explicit outcome_unknown(std::string transaction_id)
      : refused{"outcome_unknown", "no answer to the COMMIT of " + transaction_id}, id_{std::move(transaction_id)} {}
  [[nodiscard]] const std::string& transaction_id() const noexcept { return id_; }

 private:
  std::string id_;
};

/// One transfer at a time takes money from an account, in all processes.
using transfer_locks = otlpkit::lock::distributed_lock<shop::lock_store&>;
[[nodiscard]] otlpkit::lock::lock_options transfer_lock_options();

struct transfer_services {
  shop::store_pool& databases;
  shop::account_cache& accounts;
  transfer_locks& locks;
  shop::worker& background;
};

/// Moves money from one account to another: all of it or nothing. Refuses what is not possible, by these names:
/// invalid_id, invalid_amount, invalid_note, same_account, unknown_account, account_frozen, currency_mismatch,
/// insufficient_balance, outcome_unknown. Throws otlpkit::lock::lock_busy_error when others keep the lock.
transfer_result execute_transfer(const transfer_request& wanted, const transfer_services& services);

/// For the id of an outcome_unknown, once the database answers again: the transfer if it took place, which then counts
/// and is told as any other; nothing if it did not.
std::optional<transfer_result> settle_transfer(const std::string& transaction_id, const transfer_services& services);

}  // namespace bank
