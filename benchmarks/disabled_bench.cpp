// SPDX-License-Identifier: MIT
// The same span in code that telemetry is compiled out of: what is left is the call of the function it stands in.
#define OTLPKIT_DISABLE
#include "support/case.hpp"

#include <otlpkit/otlpkit.hpp>

#include <string>

namespace {

[[gnu::noinline]] void three_attributes(const std::string& user, int items, bool hit) {
  OTLPKIT_SPAN("child", {"user_id", user}, {"item_count", items}, {"cache_hit", hit});
  asm volatile("");  // or the whole call would go
}

void span_disabled(benchmark::State& state) {
  std::string user = "user-12345678";
  cases::hide(user);
  cases::measure(state, [&] { three_attributes(user, 3, true); });
}

BENCHMARK(span_disabled)->Iterations(cases::many);

}  // namespace
