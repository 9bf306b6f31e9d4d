// SPDX-License-Identifier: MIT
// links: scenario_risk
#include "examples/risk_load.hpp"

#include <doctest/doctest.h>

TEST_CASE("2,000 assessments by 16 clients, the ML service gone for a third of them: each is saved and counted once") {
  risk_load load;
  load.run([](risk_load& l) {
    l.progress.wait_for(1.0 / 3);
    l.ml->take_down(true);
    l.progress.wait_for(2.0 / 3);
    l.ml->take_down(false);
  });
  load.check(false);
  CHECK(load.degraded() > 0);
  CHECK(load.degraded() < 2'000);
}
