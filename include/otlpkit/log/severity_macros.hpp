// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/log/severity.hpp>

// The short forms, one set per severity; enabled or not, they end in the macros of log/macros.hpp or log/disabled.hpp.

/// Records a message: OTLPKIT_INFO("product loaded", {"product_id", id}).
#define OTLPKIT_TRACE(message, ...) OTLPKIT_LOG(::otlpkit::severity::trace, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_DEBUG(message, ...) OTLPKIT_LOG(::otlpkit::severity::debug, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_INFO(message, ...) OTLPKIT_LOG(::otlpkit::severity::info, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_WARN(message, ...) OTLPKIT_LOG(::otlpkit::severity::warn, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_ERROR(message, ...) OTLPKIT_LOG(::otlpkit::severity::error, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_FATAL(message, ...) OTLPKIT_LOG(::otlpkit::severity::fatal, message __VA_OPT__(, ) __VA_ARGS__)

/// At most one per interval: OTLPKIT_WARN_EVERY(10s, "queue is full", {"queue", name}).
#define OTLPKIT_TRACE_EVERY(interval, message, ...) \
  OTLPKIT_LOG_EVERY(::otlpkit::severity::trace, interval, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_DEBUG_EVERY(interval, message, ...) \
  OTLPKIT_LOG_EVERY(::otlpkit::severity::debug, interval, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_INFO_EVERY(interval, message, ...) \
  OTLPKIT_LOG_EVERY(::otlpkit::severity::info, interval, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_WARN_EVERY(interval, message, ...) \
  OTLPKIT_LOG_EVERY(::otlpkit::severity::warn, interval, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_ERROR_EVERY(interval, message, ...) \
  OTLPKIT_LOG_EVERY(::otlpkit::severity::error, interval, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_FATAL_EVERY(interval, message, ...) \
  OTLPKIT_LOG_EVERY(::otlpkit::severity::fatal, interval, message __VA_OPT__(, ) __VA_ARGS__)

/// Once per run of the program: OTLPKIT_INFO_ONCE("cache warmed up").
#define OTLPKIT_TRACE_ONCE(message, ...) \
  OTLPKIT_LOG_ONCE(::otlpkit::severity::trace, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_DEBUG_ONCE(message, ...) \
  OTLPKIT_LOG_ONCE(::otlpkit::severity::debug, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_INFO_ONCE(message, ...) OTLPKIT_LOG_ONCE(::otlpkit::severity::info, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_WARN_ONCE(message, ...) OTLPKIT_LOG_ONCE(::otlpkit::severity::warn, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_ERROR_ONCE(message, ...) \
  OTLPKIT_LOG_ONCE(::otlpkit::severity::error, message __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_FATAL_ONCE(message, ...) \
  OTLPKIT_LOG_ONCE(::otlpkit::severity::fatal, message __VA_OPT__(, ) __VA_ARGS__)
