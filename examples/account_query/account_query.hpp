// SPDX-License-Identifier: MIT
#pragma once

#include "shared/accounts.hpp"
#include "shared/database.hpp"

#include <otlpkit/otlpkit.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace bank {

/// Level 3: finds what no cache has.
using account_loader = std::function<std::optional<shop::account>(std::string_view id)>;

/// Asks the database.
[[nodiscard]] account_loader from_database(shop::store_pool& databases);

/// Of each level, how many lookups it was asked and how many it answered. From any thread.
class level_counts {
 public:
  struct level {
    std::atomic<std::int64_t> asked{0};
    std::atomic<std::int64_t> answered{0};
  };

  void count(otlpkit::cache::lookup_level answered_by, bool found) noexcept;
  /// L1 is 0.
  [[nodiscard]] const level& operator[](std::size_t i) const noexcept { return levels_[i]; }
  /// The share it answered of what it was asked, from 0 to 1.
  [[nodiscard]] double hit_ratio(std::size_t i) const noexcept;

 private:
  std::array<level, 3> levels_;
  otlpkit::observable_gauge<double> ratios_{
      "account.cache_hit_ratio",
      [this](auto& out) {
        for (std::size_t i = 0; i < levels_.size(); ++i)
          out.observe(hit_ratio(i), {{"cache_level", std::string{"L"} + std::to_string(i + 1)}});
      },
      {.unit = "1", .description = "Share of lookups a level answered of those it was asked"}};
};

/// What one process knows of accounts. From any thread.
class account_book {
 public:
  /// \param most accounts in L1
  account_book(shop::shared_cache<shop::account>& shared, account_loader load, level_counts& counts,
               std::size_t most = 10'000);

  /// Refuses "invalid_id", "unknown_account" and "account_frozen".
  shop::account query(std::string_view account_id);

  /// Takes an account out of both caches: it has changed.
  void forget(std::string_view account_id) { cache_.erase(account_id); }

 private:
  shop::account_cache cache_;
  account_loader load_;
  level_counts& counts_;
};

}  // namespace bank
