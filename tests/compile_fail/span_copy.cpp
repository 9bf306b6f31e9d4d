// SPDX-License-Identifier: MIT
// error: deleted (function|constructor)
// A span ends once: it can be moved, not copied.
#include <otlpkit/otlpkit.hpp>

#include <utility>

void record() {
  otlpkit::span first{"first"};
#ifdef COMPILE_FAIL_CONTROL
  const otlpkit::span second{std::move(first)};
#else
  const otlpkit::span second{first};
#endif
}
