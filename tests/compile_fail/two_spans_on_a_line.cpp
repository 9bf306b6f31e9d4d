// SPDX-License-Identifier: MIT
// error: redefinition|redeclaration|conflicting declaration
// Spans of macros are named by their line.
#include <otlpkit/otlpkit.hpp>

void record() {
#ifdef COMPILE_FAIL_CONTROL
  OTLPKIT_SPAN("outer");
  OTLPKIT_SPAN("inner");
#else
  // clang-format off
  OTLPKIT_SPAN("outer"); OTLPKIT_SPAN("inner");
  // clang-format on
#endif
}
