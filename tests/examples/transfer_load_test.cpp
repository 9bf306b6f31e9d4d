// SPDX-License-Identifier: MIT
// links: scenario_transfer
#include "examples/transfer_load.hpp"

#include <doctest/doctest.h>

TEST_CASE("4,000 transfers of 16 clients: no money is lost or made, and telemetry says what the database says") {
  transfer_load load;
  load.run();
  load.check(true);
}

TEST_CASE("the same with the shared cache gone for a third of the time: the caches are not the truth") {
  transfer_load load;
  load.run([](transfer_load& l) {
    l.progress.wait_for(1.0 / 3);
    l.shared().take_down(true);
    l.progress.wait_for(2.0 / 3);
    l.shared().take_down(false);
  });
  load.check(true);
}
