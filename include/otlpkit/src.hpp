// SPDX-License-Identifier: MIT
#pragma once

// The one unit of a program built with OTLPKIT_SEPARATE_COMPILATION that compiles the functions of otlpkit::telemetry.

#include <otlpkit/telemetry.hpp>

#ifndef OTLPKIT_DISABLE
#include <otlpkit/impl/telemetry.hpp>
#endif
