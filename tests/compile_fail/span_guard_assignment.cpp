// SPDX-License-Identifier: MIT
// error: deleted (function|operator|copy|move)|implicitly deleted
// A guard belongs to its scope: no other one can be put in its place.
#include <otlpkit/otlpkit.hpp>

#include <utility>

void record() {
  otlpkit::span_guard first{"first"};
#ifndef COMPILE_FAIL_CONTROL
  first = otlpkit::span_guard{"second"};
#endif
}
