// SPDX-License-Identifier: MIT
// error: nodiscard|unused result|ignoring temporary
// Telemetry without a name would end at once, and the program run without it.
#include <otlpkit/telemetry.hpp>

void begin() {
#ifdef COMPILE_FAIL_CONTROL
  const otlpkit::telemetry telemetry{{.service = "checkout"}};
#else
  otlpkit::telemetry{{.service = "checkout"}};
#endif
}
