// SPDX-License-Identifier: MIT
// error: this type is no attribute value
// What has no form in OTLP is refused where it is written, instead of being recorded as something else.
#include <otlpkit/otlpkit.hpp>

struct order {
  int id = 1;
};

void record(const order& o) {
#ifdef COMPILE_FAIL_CONTROL
  OTLPKIT_SPAN("order.create", {"order", o.id});
#else
  OTLPKIT_SPAN("order.create", {"order", o});
#endif
}
