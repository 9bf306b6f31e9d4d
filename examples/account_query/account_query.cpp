// SPDX-License-Identifier: MIT
#include "account_query/account_query.hpp"

#include <chrono>
#include <utility>

using namespace std::chrono_literals;
using shop::account;

namespace bank {

account_loader from_database(shop::store_pool& databases) {
  return [&databases](std::string_view id) {
    return databases.acquire()->query_optional<account>(
        "SELECT id, user_id, balance, currency, status FROM accounts WHERE id = $1", id);
  };
}

account_book::account_book(shop::shared_cache<account>& shared, account_loader load, level_counts& counts,
                           std::size_t most)
    : cache_{shared, {.name = "accounts", .max_entries = most, .ttl = 30s, .shared_ttl = 300s, .negative_ttl = 5s}},
      load_{std::move(load)}, counts_{counts} {}

account account_book::query(std::string_view account_id) {
  OTLPKIT_SPAN("account.query", {"account_id", account_id});
  shop::check_id("account id", account_id);

  const auto found = cache_.get(account_id, [&] { return load_(account_id); });  // L1, L2, L3, and back-fill
  OTLPKIT_RECORD("cache_level", to_string(found.level()));
  counts_.count(found.level(), found.has_value());

  if (!found) shop::refuse("unknown_account", "there is no account " + std::string{account_id});
  if (found->status == "frozen") shop::refuse("account_frozen", "account " + found->id + " is frozen");
  return *found;
}

void level_counts::count(otlpkit::cache::lookup_level answered_by, bool found) noexcept {
  const auto last = static_cast<std::size_t>(answered_by);
  for (std::size_t i = 0; i <= last; ++i) levels_[i].asked.fetch_add(1, std::memory_order_relaxed);
  // That there is no such account is an answer of a cache, too; the database has missed it.
  if (found || last < 2) levels_[last].answered.fetch_add(1, std::memory_order_relaxed);
}

double level_counts::hit_ratio(std::size_t i) const noexcept {
  const std::int64_t asked = levels_[i].asked;
  return asked == 0 ? 0 : static_cast<double>(levels_[i].answered) / static_cast<double>(asked);
}

}  // namespace bank
