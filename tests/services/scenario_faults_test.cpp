// SPDX-License-Identifier: MIT
// links: scenario_account_query scenario_risk scenario_transfer
// timeout: 300
#include "examples/account_query_load.hpp"
#include "examples/risk_load.hpp"
#include "examples/transfer_load.hpp"
#include "services/real_servers.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace std::chrono_literals;

TEST_CASE("transfers, Redis killed and PostgreSQL restarted: what fails is told once, and no money is lost or made") {
  real_servers servers;
  // A lock whose release was lost with Redis is there again with it, until its time is over.
  transfer_load load{{.name = "transfer", .ttl = 3s, .max_wait = 500ms, .poll_interval = 5ms}};
  load.run([&](transfer_load& l) {
    l.progress.wait_for(0.25);
    servers.redis.kill();
    l.wait_for_errors(32);
    servers.redis.start();
    for (const double share : {0.5, 0.65, 0.8}) {
      l.progress.wait_for(share);
      servers.postgres.restart();
    }
  });
  CHECK(load.errors() > 32);
  load.check(false);
}

TEST_CASE("account queries, Redis killed and PostgreSQL restarted: every answer is the database's, failures are told") {
  real_servers servers;
  account_query_load load;
  load.run([&](account_query_load& l) {
    l.progress.wait_for(0.2);
    servers.redis.kill();
    l.progress.wait_for(0.4);
    servers.redis.start();
    for (const double share : {0.5, 0.65, 0.8}) {
      l.progress.wait_for(share);
      servers.postgres.restart();
    }
  });
  CHECK(load.errors() > 0);
  load.check();
}

TEST_CASE("risk assessments, PostgreSQL restarted and the ML service gone: each is saved and counted once, or failed") {
  real_servers servers;
  risk_load load;
  load.run([&](risk_load& l) {
    for (const double share : {0.2, 0.4, 0.6}) {
      l.progress.wait_for(share);
      l.ml->take_down(share == 0.4);
      servers.postgres.restart();
    }
  });
  load.check(true);
  CHECK(load.degraded() > 0);
}
