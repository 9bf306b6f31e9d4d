// SPDX-License-Identifier: MIT
// What a log record costs the thread that emits it, within a span.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/otlpkit.hpp>

#include <string>

namespace {

[[gnu::noinline]] void two_attributes(const std::string& user, int items) {
  OTLPKIT_INFO("order placed", {"user_id", user}, {"item_count", items});
}

void log_2attrs(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  std::string user = "user-12345678";
  cases::hide(user);
  cases::measure(state, [&] { two_attributes(user, 3); });
}

BENCHMARK(log_2attrs)->Iterations(cases::burst);

}  // namespace
