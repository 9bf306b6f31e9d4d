// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database_connection.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace shop {

/// A step from one schema to the next. Steps are appended, never changed: a database remembers the numbers it has seen.
struct migration {
  std::int64_t number;
  std::string sql;  ///< one or more statements, in what SQLite and PostgreSQL have in common; no BEGIN or COMMIT
};

/// The files of a folder called NUMBER_name.sql ("0003_add_orders.sql"), by number. Throws std::runtime_error for two
/// with the same number, a file that cannot be read and a folder that is not there.
[[nodiscard]] std::vector<migration> migrations_in(const std::string& folder);

/// Brings the schema up to date: each migration once, in a transaction of its own, in the order of the numbers.
/// Programs that start at the same time do not disturb each other.
void migrate(database_connection& connection, std::span<const migration> all);

}  // namespace shop
