// SPDX-License-Identifier: MIT
#include "shared/database.hpp"

#include "shared/migrations.hpp"

#include <otlpkit/otlpkit.hpp>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace shop {
namespace {

std::string new_file() {
  std::string path = (std::filesystem::temp_directory_path() / "otlpkit-shop-XXXXXX").string();
  const int file = ::mkstemp(path.data());
  if (file < 0) throw std::runtime_error{"cannot create " + path};
  ::close(file);
  return path;
}

#if __has_include(<libpq-fe.h>)

std::string new_schema() {
  std::random_device random;
  return "otlpkit_shop_" + std::to_string(random()) + "_" + std::to_string(::getpid());
}

otlpkit::postgres::connection connection_to(const std::string& url, const std::string& schema) {
  otlpkit::postgres::connection c{url, {.application_name = "otlpkit examples"}};
  c.run_script("SET search_path TO " + schema);
  return c;
}

#endif

}  // namespace

void migrate(database_connection& connection) { migrate(connection, migrations_in(SHOP_MIGRATIONS)); }

database::database() {
  const char* const asked = std::getenv("DATABASE_URL");
  if (asked != nullptr) url_ = asked;
  if (url_.empty()) {
    place_ = new_file();
  } else if (!url_.starts_with("postgres://") && !url_.starts_with("postgresql://")) {
    throw std::runtime_error{"DATABASE_URL is \"" + url_.substr(0, url_.find(':')) +
                             ":...\": expected postgres://user@host/database, or nothing for SQLite"};
  } else {
#if __has_include(<libpq-fe.h>)
    place_ = new_schema();
    otlpkit::postgres::connection{url_}.run_script("CREATE SCHEMA " + place_);
#else
    throw std::runtime_error{"DATABASE_URL asks for PostgreSQL, and this was built without libpq"};
#endif
  }
  database_connection first = open();
  migrate(first);
}

database::~database() {
  if (url_.empty()) {
    std::error_code ignored;
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(place_ + suffix, ignored);
    return;
  }
#if __has_include(<libpq-fe.h>)
  try {
    otlpkit::postgres::connection{url_}.run_script("DROP SCHEMA " + place_ + " CASCADE");
  } catch (const otlpkit::db::error&) {  // the server is gone, or a connection still uses it
  }
#endif
}

database_connection database::open() const {
#if __has_include(<libpq-fe.h>)
  if (!url_.empty()) {
    try {
      return database_connection{connection_to(url_, place_)};
    } catch (const otlpkit::db::error& e) {  // which request connects is chance: only that it failed is told
      otlpkit::span_guard span{
          "CONNECT", {{"db.response.status_code", e.status_code()}}, {.kind = otlpkit::span_kind::client}};
      span.record_exception(e);
      span.fail(e.status_code(), e.what());
      throw;
    }
  }
#endif
  // The path of the file is nobody's business.
  otlpkit::sqlite::connection c{place_, {.busy_timeout_ms = 20'000, .name_space = "shop"}};
  c.run_script("PRAGMA synchronous = OFF");  // the file goes with the program: there is nothing to keep from a crash
  return database_connection{std::move(c)};
}

}  // namespace shop
