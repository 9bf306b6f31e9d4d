// SPDX-License-Identifier: MIT
#pragma once

// All resilience strategies, for functions that return an awaitable and for those that do not.

#include <otlpkit/asio/bulkhead.hpp>
#include <otlpkit/asio/chaos.hpp>
#include <otlpkit/asio/circuit_breaker.hpp>
#include <otlpkit/asio/fallback.hpp>
#include <otlpkit/asio/hedge.hpp>
#include <otlpkit/asio/pipeline.hpp>
#include <otlpkit/asio/rate_limiter.hpp>
#include <otlpkit/asio/retry.hpp>
#include <otlpkit/asio/timeout.hpp>
#include <otlpkit/resilience/resilience.hpp>
