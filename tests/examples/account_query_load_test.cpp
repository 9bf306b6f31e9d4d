// SPDX-License-Identifier: MIT
// links: scenario_account_query
#include "examples/account_query_load.hpp"

#include <doctest/doctest.h>

TEST_CASE("8,000 queries of 16 clients in two processes: every answer is the database's, and levels add up") {
  account_query_load load;
  load.run([](account_query_load& l) {
    l.progress.wait_for(1.0 / 3);
    l.shared().take_down(true);
    l.progress.wait_for(2.0 / 3);
    l.shared().take_down(false);
  });
  load.check();
  CHECK(load.errors() == 0);
}
