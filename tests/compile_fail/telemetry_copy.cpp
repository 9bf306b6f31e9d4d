// SPDX-License-Identifier: MIT
// error: deleted (function|constructor)
// There is one telemetry object at a time.
#include <otlpkit/telemetry.hpp>

void begin() {
  const otlpkit::telemetry telemetry;
#ifndef COMPILE_FAIL_CONTROL
  const otlpkit::telemetry second{telemetry};
#endif
}
