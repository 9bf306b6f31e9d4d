// SPDX-License-Identifier: MIT
// Instrumented code: sees otlpkit::api only.
#include <otlpkit/otlpkit.hpp>

#ifdef BOOST_VERSION
#error "instrumented code must not see Boost"
#endif

int work(int answer) {
  OTLPKIT_SPAN("consumer.work", {"answer", answer});
  return answer;
}
