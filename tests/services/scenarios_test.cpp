// SPDX-License-Identifier: MIT
// links: example_shared PostgreSQL::PostgreSQL
// needs: otlpkit_tests_examples
// timeout: 900
#include "services/real_servers.hpp"
#include "shared/database.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace {

/// A program's status and what it printed.
struct ended {
  int status = -1;
  std::string output;
};

ended run(const std::string& program) {
  ended out;
  std::FILE* const pipe = ::popen((program + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> part{};
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), pipe)) out.output.append(part.data(), n);
  const int status = ::pclose(pipe);
  out.status = status < 0 ? status : (status >> 8) & 0xFF;
  return out;
}

}  // namespace

TEST_CASE("every test of the scenarios, of their traces and under load, holds on PostgreSQL and Redis as it is") {
  const real_servers servers;
  {
    shop::database one, two;
    shop::store db = one.connect();
    CHECK(db.info().system_name == "postgresql");
    CHECK(shop::for_update(db) == " FOR UPDATE");
    CHECK(db.execute("DELETE FROM products") == 4);
    shop::store other = two.connect();
    CHECK(other.query<std::string>("SELECT id FROM products").size() == 4);
  }
  std::vector<std::string> programs;
  for (const auto& entry : std::filesystem::directory_iterator{OTLPKIT_TEST_BINARY_DIR "/../examples"}) {
    if (entry.path().filename().string().ends_with("_test")) programs.push_back(entry.path().string());
  }
  std::sort(programs.begin(), programs.end());
  CHECK(programs.size() > 6);
  for (const std::string& program : programs) {
    const ended e = run(program);
    INFO(program, "\n", e.output);
    CHECK(e.status == 0);
  }
  // Each of them had a schema and keys of its own, which are gone.
  otlpkit::postgres::connection c{servers.postgres.url()};
  CHECK(c.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'otlpkit%'", {}).empty());
  CHECK(run("redis-cli -p " + std::to_string(servers.redis.port()) + " dbsize").output == "0\n");
}
