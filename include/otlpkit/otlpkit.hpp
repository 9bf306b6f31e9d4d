// SPDX-License-Identifier: MIT
#pragma once

// Everything instrumented code needs, on the standard library alone: spans, fields, metrics, logs. Only the file with
// main() includes otlpkit/telemetry.hpp, which brings the exporters and Boost.

#include <otlpkit/config.hpp>
#include <otlpkit/log/macros.hpp>
#include <otlpkit/metrics/macros.hpp>
#include <otlpkit/trace/trace.hpp>
