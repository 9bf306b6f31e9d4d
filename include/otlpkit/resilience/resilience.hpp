// SPDX-License-Identifier: MIT
#pragma once

// All resilience strategies, in their blocking forms. For coroutines include otlpkit/asio/resilience.hpp.

#include <otlpkit/resilience/bulkhead.hpp>
#include <otlpkit/resilience/chaos.hpp>
#include <otlpkit/resilience/circuit_breaker.hpp>
#include <otlpkit/resilience/fallback.hpp>
#include <otlpkit/resilience/hedge.hpp>
#include <otlpkit/resilience/pipeline.hpp>
#include <otlpkit/resilience/rate_limiter.hpp>
#include <otlpkit/resilience/rejected_error.hpp>
#include <otlpkit/resilience/retry.hpp>
#include <otlpkit/resilience/timeout.hpp>
