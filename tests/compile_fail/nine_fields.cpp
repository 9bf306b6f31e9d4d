// SPDX-License-Identifier: MIT
// error: no match for call|no matching function
// The macro takes eight fields; more are set one by one.
#include <otlpkit/otlpkit.hpp>

void record() {
#ifdef COMPILE_FAIL_CONTROL
  OTLPKIT_SPAN("work", {"1", 1}, {"2", 2}, {"3", 3}, {"4", 4}, {"5", 5}, {"6", 6}, {"7", 7}, {"8", 8});
#else
  OTLPKIT_SPAN("work", {"1", 1}, {"2", 2}, {"3", 3}, {"4", 4}, {"5", 5}, {"6", 6}, {"7", 7}, {"8", 8}, {"9", 9});
#endif
}
