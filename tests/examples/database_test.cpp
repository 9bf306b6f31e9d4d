// SPDX-License-Identifier: MIT
// links: example_shared
#include "shared/database.hpp"
#include "shared/migrations.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct folder {
  std::string path = (std::filesystem::temp_directory_path() / "otlpkit-migrations-XXXXXX").string();
  folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  void file(const std::string& name, const std::string& text) const { std::ofstream{path + "/" + name} << text; }
};

}  // namespace

TEST_CASE("migrations are files with numbers, applied once and in order") {
  const folder f;
  f.file("0010_rename.sql", "ALTER TABLE a RENAME TO b;");
  f.file("0002_create.sql", "CREATE TABLE a (n BIGINT); INSERT INTO a VALUES (1);");
  f.file("readme.txt", "no migration");
  const auto all = shop::migrations_in(f.path);
  REQUIRE(all.size() == 2);
  CHECK(all[0].number == 2);
  shop::database_connection c{otlpkit::sqlite::connection{":memory:"}};
  shop::migrate(c, all);
  shop::migrate(c, all);
  CHECK(c.query("SELECT n FROM b", {}).size() == 1);
  CHECK(c.query("SELECT number FROM schema_migrations", {}).size() == 2);
}

TEST_CASE("a migration that fails changes nothing, and is tried again") {
  shop::database_connection c{otlpkit::sqlite::connection{":memory:"}};
  const std::vector<shop::migration> broken{{1, "CREATE TABLE a (n BIGINT)"},
                                            {2, "CREATE TABLE b (n BIGINT); nonsense"}};
  CHECK_THROWS_AS(shop::migrate(c, broken), otlpkit::db::error);
  CHECK(c.usable());
  const std::vector<shop::migration> mended{broken[0], {2, "CREATE TABLE b (n BIGINT)"}};
  shop::migrate(c, mended);
  CHECK(c.query("SELECT n FROM b", {}).empty());
}

TEST_CASE("a folder with two migrations of a number, or a name without one, is refused") {
  const folder f;
  f.file("0001_a.sql", "SELECT 1");
  f.file("1_b.sql", "SELECT 1");
  CHECK_THROWS_AS(static_cast<void>(shop::migrations_in(f.path)), std::runtime_error);
  const folder g;
  g.file("first.sql", "SELECT 1");
  CHECK_THROWS_AS(static_cast<void>(shop::migrations_in(g.path)), std::runtime_error);
  CHECK_THROWS_AS(static_cast<void>(shop::migrations_in("/nowhere/at/all")), std::runtime_error);
}

TEST_CASE("a DATABASE_URL of another kind is refused by name, without its password") {
  ::setenv("DATABASE_URL", "mysql://app:s3cret@host/x", 1);
  CHECK_THROWS_WITH_AS(shop::database{},
                       "DATABASE_URL is \"mysql:...\": expected postgres://user@host/database, or nothing for SQLite",
                       std::runtime_error);
  ::unsetenv("DATABASE_URL");
  shop::database usual;
  shop::store db = usual.connect();
  CHECK(shop::for_update(db).empty());
  CHECK(db.query_one<std::string>("SELECT name FROM products WHERE id = $1", "p-1001") == "Espresso cup");
}
