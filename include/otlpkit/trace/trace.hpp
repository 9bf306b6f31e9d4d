// SPDX-License-Identifier: MIT
#pragma once

// Spans, or what stands for them when telemetry is compiled out.

#include <otlpkit/config.hpp>

#ifdef OTLPKIT_DISABLE
#include <otlpkit/trace/disabled.hpp>
#else
#include <otlpkit/trace/macros.hpp>
#include <otlpkit/trace/span.hpp>
#include <otlpkit/trace/traced.hpp>
#endif
