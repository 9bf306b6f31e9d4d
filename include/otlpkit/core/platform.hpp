// SPDX-License-Identifier: MIT
#pragma once

// The one room where the operating system, the CPU and the compiler are told apart: core/platform/, and this header for
// all of it that is light. Everything has a portable fallback; porting otlpkit is work in there (and in
// platform_host.hpp, which asks the host about itself).

#include <otlpkit/core/platform/atomic.hpp>
#include <otlpkit/core/platform/cache.hpp>
#include <otlpkit/core/platform/clocks.hpp>
#include <otlpkit/core/platform/compiler.hpp>
#include <otlpkit/core/platform/mutex.hpp>
#include <otlpkit/core/platform/process.hpp>
#include <otlpkit/core/platform/random.hpp>
#include <otlpkit/core/platform/thread.hpp>
#include <otlpkit/core/platform/words.hpp>
