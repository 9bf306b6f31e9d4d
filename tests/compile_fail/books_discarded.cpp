// SPDX-License-Identifier: MIT
// error: nodiscard
// Asking for the books and not looking at them is a mistake.
#include <otlpkit/telemetry.hpp>

otlpkit::sdk::books look(const otlpkit::telemetry& telemetry) {
#ifndef COMPILE_FAIL_CONTROL
  telemetry.books();
#endif
  return telemetry.books();
}
