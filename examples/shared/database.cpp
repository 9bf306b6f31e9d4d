// SPDX-License-Identifier: MIT
#include "shared/database.hpp"

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace shop {
namespace {

struct migration {
  std::int64_t number;
  const char* sql;
};

// Appended to, never changed: a database remembers the numbers it has seen.
constexpr migration migrations[] = {
    {1, R"sql(
      CREATE TABLE products (
        id         TEXT PRIMARY KEY,
        name       TEXT NOT NULL,
        price      BIGINT NOT NULL CHECK (price >= 0),  -- minor units
        currency   TEXT NOT NULL,
        stock      BIGINT NOT NULL CHECK (stock >= 0),
        view_count BIGINT NOT NULL DEFAULT 0
      );
    )sql"},
    {2, R"sql(
      INSERT INTO products (id, name, price, currency, stock) VALUES
        ('p-1001', 'Espresso cup', 1290, 'EUR', 40),
        ('p-1002', 'Moka pot', 3450, 'EUR', 12),
        ('p-1003', 'Hand grinder', 8900, 'EUR', 3),
        ('p-1004', 'Copper kettle', 14900, 'EUR', 0);
    )sql"},
};

std::string new_file() {
  std::string path = (std::filesystem::temp_directory_path() / "otlpkit-shop-XXXXXX").string();
  const int file = ::mkstemp(path.data());
  if (file < 0) throw std::runtime_error{"cannot create " + path};
  ::close(file);
  return path;
}

}  // namespace

void migrate(otlpkit::sqlite::connection& connection) {
  connection.run_script("CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT PRIMARY KEY)");
  for (const migration& m : migrations) {
    const otlpkit::db::parameter number[] = {m.number};
    if (!connection.query("SELECT 1 FROM schema_migrations WHERE number = $1", number).empty()) continue;
    connection.run_script(std::string{"BEGIN;"} + m.sql + "INSERT INTO schema_migrations VALUES (" +
                          std::to_string(m.number) + "); COMMIT");
  }
}

database::database() : path_{new_file()} {
  otlpkit::sqlite::connection first{path_};
  migrate(first);
}

database::~database() {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + suffix, ignored);
}

store database::connect() const {
  return store{otlpkit::sqlite::connection{path_, {.name_space = "shop"}}};  // the path is nobody's business
}

}  // namespace shop
