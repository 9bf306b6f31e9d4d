// SPDX-License-Identifier: MIT
// links: scenario_transfer
// timeout: 300
#include "examples/transfer_load.hpp"
#include "support/server_process.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>

using namespace std::chrono_literals;

TEST_CASE("Redis killed and PostgreSQL restarted under load: what fails is told once, and no money is lost or made") {
  support::postgres_server postgres;
  support::redis_server redis;
  ::setenv("DATABASE_URL", postgres.url().c_str(), 1);
  ::setenv("REDIS_URL", redis.url().c_str(), 1);
  // A lock whose release was lost with Redis is there again with it, until its time is over.
  transfer_load load{{.name = "transfer", .ttl = 3s, .max_wait = 500ms, .poll_interval = 5ms}};
  load.run([&](transfer_load& l) {
    l.wait_for(0.25);
    redis.kill();
    l.wait_for_errors(32);
    redis.start();
    for (const double share : {0.5, 0.65, 0.8}) {
      l.wait_for(share);
      postgres.restart();
    }
  });
  CHECK(load.errors() > 32);
  load.check(false);
}
