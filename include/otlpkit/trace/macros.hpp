// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/field_sink.hpp>

#define OTLPKIT_JOIN_(a, b) a##b
#define OTLPKIT_JOIN(a, b) OTLPKIT_JOIN_(a, b)

/// Starts a span that ends with the enclosing scope: OTLPKIT_SPAN("product.view", {"product_id", id}). Up to eight
/// fields; their expressions run only if the span records and may not contain co_await. One per line.
#define OTLPKIT_SPAN(name, ...)                                                                                \
  const ::otlpkit::span_guard OTLPKIT_JOIN(otlpkit_span_, __LINE__) {                                          \
    otlpkit_scope(0), name, [&](::otlpkit::detail::span_record& otlpkit_record) OTLPKIT_ALWAYS_INLINE_LAMBDA { \
      ::otlpkit::detail::field_list{::otlpkit::detail::attribute_sink{otlpkit_record}}(__VA_ARGS__);           \
    }                                                                                                          \
  }

/// Sets attributes on the current span: OTLPKIT_RECORD("cache_hit", true).
#define OTLPKIT_RECORD(key, ...)                                                                             \
  do {                                                                                                       \
    if (auto* const otlpkit_span = ::otlpkit::detail::recording_span()) otlpkit_span->set(key, __VA_ARGS__); \
  } while (false)

/// Adds an event to the current span: OTLPKIT_EVENT("cache.evicted", {"entries", n}). Up to eight fields.
#define OTLPKIT_EVENT(name, ...)                                                                      \
  do {                                                                                                \
    if (auto* const otlpkit_span = ::otlpkit::detail::recording_span())                               \
      ::otlpkit::detail::field_list{::otlpkit::detail::event_sink{*otlpkit_span, name}}(__VA_ARGS__); \
  } while (false)

/// Marks the current span as failed: OTLPKIT_FAIL("out_of_stock", "only 3 left").
#define OTLPKIT_FAIL(error_type, ...)                                   \
  do {                                                                  \
    if (auto* const otlpkit_span = ::otlpkit::detail::recording_span()) \
      otlpkit_span->fail(error_type __VA_OPT__(, ) __VA_ARGS__);        \
  } while (false)
