// SPDX-License-Identifier: MIT
#pragma once

// What functions and variables are marked with, and which family of systems this is.

#include <otlpkit/config.hpp>

#if defined(__unix__) || defined(__APPLE__)
#define OTLPKIT_POSIX 1
#else
#define OTLPKIT_POSIX 0
#endif

#if defined(__GNUC__)
#define OTLPKIT_ALWAYS_INLINE [[gnu::always_inline]] inline
#define OTLPKIT_ALWAYS_INLINE_LAMBDA __attribute__((always_inline))
#define OTLPKIT_NOINLINE [[gnu::noinline]]
#define OTLPKIT_COLD [[gnu::noinline, gnu::cold]]
/// For the few variables that must be one across shared objects, also where -fvisibility=hidden is the default.
#define OTLPKIT_VISIBLE [[gnu::visibility("default")]]
#else
#define OTLPKIT_ALWAYS_INLINE inline
#define OTLPKIT_ALWAYS_INLINE_LAMBDA
#define OTLPKIT_NOINLINE
#define OTLPKIT_COLD
#define OTLPKIT_VISIBLE
#endif
