// SPDX-License-Identifier: MIT
#include "shared/migrations.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace shop {
namespace {

/// Ends the transaction whatever happens in it.
template <class Work>
void in_transaction(database_connection& c, Work work) {
  c.execute(c.info().begin, {});
  try {
    work();
    c.execute("COMMIT", {});
  } catch (...) {
    try {
      c.execute("ROLLBACK", {});
    } catch (const otlpkit::db::error&) {  // what went wrong first says more
    }
    throw;
  }
}

}  // namespace

std::vector<migration> migrations_in(const std::string& folder) {
  std::vector<migration> all;
  for (const auto& entry : std::filesystem::directory_iterator{folder}) {
    if (entry.path().extension() != ".sql") continue;
    const std::string name = entry.path().filename().string();
    std::int64_t number = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), number);
    if (read.ec != std::errc{} || *read.ptr != '_')
      throw std::runtime_error{entry.path().string() + ": expected a name like 0001_create_orders.sql"};
    std::ifstream in{entry.path()};
    std::string sql{std::istreambuf_iterator<char>{in}, {}};
    if (!in) throw std::runtime_error{"cannot read " + entry.path().string()};
    all.push_back({number, std::move(sql)});
  }
  std::sort(all.begin(), all.end(), [](const migration& a, const migration& b) { return a.number < b.number; });
  const auto twice = std::adjacent_find(all.begin(), all.end(),
                                        [](const migration& a, const migration& b) { return a.number == b.number; });
  if (twice != all.end())
    throw std::runtime_error{folder + ": two migrations have the number " + std::to_string(twice->number)};
  return all;
}

void migrate(database_connection& c, std::span<const migration> all) {
  const bool postgres = c.info().system_name == "postgresql";
  in_transaction(c, [&] {
    // SQLite's transaction keeps other writers out by itself. The number is this table's own, and freed by the end.
    if (postgres) c.query("SELECT pg_advisory_xact_lock(7205401)", {});
    c.execute("CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT PRIMARY KEY)", {});
  });
  for (const migration& m : all) {
    in_transaction(c, [&] {
      if (postgres) c.query("SELECT pg_advisory_xact_lock(7205401)", {});
      const otlpkit::db::parameter number[] = {m.number};
      if (!c.query("SELECT 1 FROM schema_migrations WHERE number = $1", number).empty()) return;
      c.run_script(m.sql);
      c.execute("INSERT INTO schema_migrations (number) VALUES ($1)", number);
    });
  }
}

}  // namespace shop
