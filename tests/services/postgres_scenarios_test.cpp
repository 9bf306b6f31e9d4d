// SPDX-License-Identifier: MIT
// links: example_shared PostgreSQL::PostgreSQL
// needs: example_product_view example_cart
#include "shared/database.hpp"
#include "support/server_process.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

TEST_CASE("scenarios run on PostgreSQL with DATABASE_URL, each in a schema of its own that goes with it") {
  support::postgres_server server;
  ::setenv("DATABASE_URL", server.url().c_str(), 1);
  ::setenv("OTEL_SDK_DISABLED", "true", 1);
  {
    shop::database one, two;
    shop::store db = one.connect();
    CHECK(db.info().system_name == "postgresql");
    CHECK(shop::for_update(db) == " FOR UPDATE");
    CHECK(db.execute("DELETE FROM products") == 4);
    shop::store other = two.connect();
    CHECK(other.query<std::string>("SELECT id FROM products").size() == 4);
  }
  for (const char* name : {"product_view", "cart"}) {
    CAPTURE(name);
    CHECK(std::system((std::string{OTLPKIT_EXAMPLES_DIR} + "/" + name + " >/dev/null").c_str()) == 0);
  }
  otlpkit::postgres::connection c{server.url()};
  CHECK(c.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'otlpkit%'", {}).empty());
}
