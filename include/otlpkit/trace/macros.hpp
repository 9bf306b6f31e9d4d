// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/span.hpp>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Takes the fields of a macro one by one, so that the kind of each value, and what its key is, are known where it is
/// encoded.
class field_sink {
 public:
  OTLPKIT_ALWAYS_INLINE explicit field_sink(span_record& record) noexcept : record_{record} {}

  OTLPKIT_ALWAYS_INLINE void operator()() const noexcept {}
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a) const noexcept { close(put(open(1), a)); }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b) const noexcept {
    close(put(put(open(2), a), b));
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c) const noexcept {
    close(put(put(put(open(3), a), b), c));
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d) const noexcept {
    close(put(put(put(put(open(4), a), b), c), d));
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d,
                                        const field& e) const noexcept {
    (*this)(a, b, c);
    (*this)(d, e);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d, const field& e,
                                        const field& f) const noexcept {
    (*this)(a, b, c);
    (*this)(d, e, f);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d, const field& e,
                                        const field& f, const field& g) const noexcept {
    (*this)(a, b, c);
    (*this)(d, e, f, g);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d, const field& e,
                                        const field& f, const field& g, const field& h) const noexcept {
    (*this)(a, b, c, d);
    (*this)(e, f, g, h);
  }

 private:
  /// Where so many short attributes can be written; nullptr when that is to be found out.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* open(std::size_t fields) const noexcept {
    record_buffer& body = record_.body();
    return body.room_at_hand(fields * attribute_set::short_room) ? body.at() : nullptr;
  }
  /// The end of what was put; nullptr: the next are put one by one.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* put(wire::byte* p, const field& f) const noexcept {
    if (p != nullptr) [[likely]] {
      wire::byte* const end =
          record_.attributes().try_known(p, global_runtime.span_attributes, span_tag::attributes, f);
      if (end != nullptr) [[likely]]
        return end;
      close(p);
    }
    record_.put(f);
    return nullptr;
  }
  OTLPKIT_ALWAYS_INLINE void close(wire::byte* p) const noexcept {
    if (p != nullptr) [[likely]]
      record_.body().advance_to(p);
  }

  span_record& record_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail

#define OTLPKIT_JOIN_(a, b) a##b
#define OTLPKIT_JOIN(a, b) OTLPKIT_JOIN_(a, b)

/// Starts a span that ends with the enclosing scope: OTLPKIT_SPAN("product.view", {"product_id", id}). Up to eight
/// fields; their expressions run only if the span records and may not contain co_await. One per line.
#define OTLPKIT_SPAN(name, ...)                                                                                \
  const ::otlpkit::span_guard OTLPKIT_JOIN(otlpkit_span_, __LINE__) {                                          \
    otlpkit_scope(0), name, [&](::otlpkit::detail::span_record& otlpkit_record) OTLPKIT_ALWAYS_INLINE_LAMBDA { \
      ::otlpkit::detail::field_sink{otlpkit_record}(__VA_ARGS__);                                              \
    }                                                                                                          \
  }

/// Sets attributes on the current span: OTLPKIT_RECORD("cache_hit", true).
#define OTLPKIT_RECORD(key, ...)                                                                                      \
  do {                                                                                                                \
    if (auto& otlpkit_span = ::otlpkit::current_span(); otlpkit_span.recording()) otlpkit_span.set(key, __VA_ARGS__); \
  } while (false)

/// Adds an event to the current span: OTLPKIT_EVENT("cache.evicted", {"entries", n}).
#define OTLPKIT_EVENT(name, ...)                                                  \
  do {                                                                            \
    if (auto& otlpkit_span = ::otlpkit::current_span(); otlpkit_span.recording()) \
      otlpkit_span.event(name, {__VA_ARGS__});                                    \
  } while (false)

/// Marks the current span as failed: OTLPKIT_FAIL("out_of_stock", "only 3 left").
#define OTLPKIT_FAIL(error_type, ...)                                             \
  do {                                                                            \
    if (auto& otlpkit_span = ::otlpkit::current_span(); otlpkit_span.recording()) \
      otlpkit_span.fail(error_type __VA_OPT__(, ) __VA_ARGS__);                   \
  } while (false)
