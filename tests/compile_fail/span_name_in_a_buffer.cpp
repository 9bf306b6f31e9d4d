// SPDX-License-Identifier: MIT
// error: constant expression
// Literals are referred to and not copied; a buffer of the caller's must not pass for one.
#include <otlpkit/otlpkit.hpp>

#include <string_view>

void record() {
  char name[8] = "work";
#ifdef COMPILE_FAIL_CONTROL
  const otlpkit::span_guard span{std::string_view{name}};
#else
  const otlpkit::span_guard span{name};
#endif
}
