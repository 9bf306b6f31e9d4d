// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/version.hpp>

/// The inline namespace every declaration lives in: it spells the version and whether telemetry is compiled in.
/// Two translation units built differently therefore use different entities: each keeps its own behaviour, and a type
/// passed between them fails to link instead of breaking at run time.
///
/// Define OTLPKIT_DISABLE (for a whole target) to compile every span, field, metric and log record out: the same code
/// compiles, arguments are not evaluated, and decorators go on doing their work without telemetry.
#ifdef OTLPKIT_DISABLE
#define OTLPKIT_ABI v0_1_off
#else
#define OTLPKIT_ABI v0_1
#endif

/// Before the definitions of functions that OTLPKIT_SEPARATE_COMPILATION leaves to otlpkit/src.hpp.
#ifdef OTLPKIT_SEPARATE_COMPILATION
#define OTLPKIT_DECL
#else
#define OTLPKIT_DECL inline
#endif
