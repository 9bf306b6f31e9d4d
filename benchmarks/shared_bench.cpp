// SPDX-License-Identifier: MIT
// span_empty where the instrumented code is in a shared object (shared_site.cpp): with the compiler's default, which
// asks the loader for the address of each thread-local, and with -ftls-model=initial-exec.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/otlpkit.hpp>

void shared_site();
void shared_site_initial_exec();

namespace {

template <void (*site)()>
void children(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  cases::measure(state, site);
}

BENCHMARK(children<shared_site>)->Name("span_empty_shared")->Iterations(cases::burst);
BENCHMARK(children<shared_site_initial_exec>)->Name("span_empty_shared_initial_exec")->Iterations(cases::burst);

}  // namespace
