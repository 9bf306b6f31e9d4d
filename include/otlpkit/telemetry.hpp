// SPDX-License-Identifier: MIT
#pragma once

// What main() includes: the telemetry object, its settings and the exporters. It brings Boost.Asio and Beast; instrumented
// code includes otlpkit/otlpkit.hpp instead.

#include <otlpkit/otlpkit.hpp>

#ifdef OTLPKIT_DISABLE
#include <otlpkit/sdk/disabled.hpp>
#else
#include <otlpkit/sdk/telemetry.hpp>
#endif
