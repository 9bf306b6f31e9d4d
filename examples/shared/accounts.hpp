// SPDX-License-Identifier: MIT
#pragma once

#include "shared/json.hpp"
#include "shared/shared_cache.hpp"
#include "shared/shop.hpp"

#include <otlpkit/cache/tiered_cache.hpp>

#include <string>

namespace shop {

struct account {
  std::string id;
  std::string user_id;
  money balance;
  std::string status;  ///< "active" or "frozen"
};
BOOST_DESCRIBE_STRUCT(account, (), (id, user_id, balance, status))

/// Accounts in the process (L1) and in the shared cache (L2).
using account_cache = otlpkit::cache::tiered_cache<account, shared_cache<account>&>;

}  // namespace shop
