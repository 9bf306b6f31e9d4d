// SPDX-License-Identifier: MIT
// A span site in a shared object. Built twice, with the two ways such an object finds its thread-local variables.
#include <otlpkit/otlpkit.hpp>

void OTLPKIT_BENCHMARK_SITE();

void OTLPKIT_BENCHMARK_SITE() { OTLPKIT_SPAN("child"); }
