// SPDX-License-Identifier: MIT
// error: nodiscard
// A guard without a name would end at once, before the work it is meant to cover.
#include <otlpkit/otlpkit.hpp>

void work();

void record() {
#ifdef COMPILE_FAIL_CONTROL
  const otlpkit::span_guard span{"work"};
#else
  otlpkit::span_guard{"work"};
#endif
  work();
}
