// SPDX-License-Identifier: MIT
#pragma once

#include "support/server_process.hpp"

#include <cstdlib>

/// PostgreSQL and Redis for the scenarios of this program, as long as it lives. From the test's main thread: the
/// servers die with it.
struct real_servers {
  real_servers() {
    ::setenv("DATABASE_URL", postgres.url().c_str(), 1);
    ::setenv("REDIS_URL", redis.url().c_str(), 1);
  }
  real_servers(const real_servers&) = delete;
  real_servers& operator=(const real_servers&) = delete;
  ~real_servers() {
    ::unsetenv("DATABASE_URL");
    ::unsetenv("REDIS_URL");
  }

  support::postgres_server postgres;
  support::redis_server redis;
};
