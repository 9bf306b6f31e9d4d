// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/span.hpp>

#include <cstddef>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Takes the fields of a macro one by one, up to eight, so that the kind of each value, and what its key is, are known
/// where it is encoded.
template <class Sink>
class field_list {
 public:
  OTLPKIT_ALWAYS_INLINE explicit field_list(Sink sink) noexcept : sink_{sink} {}

  OTLPKIT_ALWAYS_INLINE void operator()() const noexcept { sink_.put(); }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a) const noexcept { sink_.put(a); }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b) const noexcept { sink_.put(a, b); }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c) const noexcept {
    sink_.put(a, b, c);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d) const noexcept {
    sink_.put(a, b, c, d);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d,
                                        const field& e) const noexcept {
    sink_.put(a, b, c, d, e);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d, const field& e,
                                        const field& f) const noexcept {
    sink_.put(a, b, c, d, e, f);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d, const field& e,
                                        const field& f, const field& g) const noexcept {
    sink_.put(a, b, c, d, e, f, g);
  }
  OTLPKIT_ALWAYS_INLINE void operator()(const field& a, const field& b, const field& c, const field& d, const field& e,
                                        const field& f, const field& g, const field& h) const noexcept {
    sink_.put(a, b, c, d, e, f, g, h);
  }

 private:
  Sink sink_;
};

/// Attributes of a span that begins.
class attribute_sink {
 public:
  OTLPKIT_ALWAYS_INLINE explicit attribute_sink(span_record& record) noexcept : record_{record} {}

  OTLPKIT_ALWAYS_INLINE void put() const noexcept {}
  /// Four at a time: they must fit into a spare buffer.
  template <class A, class B, class C, class D, class... More>
  OTLPKIT_ALWAYS_INLINE void put(const A& a, const B& b, const C& c, const D& d, const More&... more) const noexcept {
    put_some(a, b, c, d);
    put(more...);
  }
  template <class... Fields>
  OTLPKIT_ALWAYS_INLINE void put(const Fields&... f) const noexcept {
    put_some(f...);
  }

 private:
  template <class... Fields>
  OTLPKIT_ALWAYS_INLINE void put_some(const Fields&... f) const noexcept {
    record_buffer& body = record_.body();
    const bool at_once = body.room_at_hand(sizeof...(f) * attribute_set::short_room) &&
                         record_.attributes().take_all(global_runtime.span_attributes, f.key...);
    write(at_once ? body.at() : nullptr, f...);
  }
  /// At `p`, or as a span's other attributes are put where that is nullptr.
  template <class... Rest>
  OTLPKIT_ALWAYS_INLINE void write(wire::byte* p, const field& f, const Rest&... rest) const noexcept {
    if (p != nullptr) [[likely]] {
      wire::byte* const end = attribute_set::put_known(p, global_runtime.span_attributes, span_tag::attributes, f);
      if (end == nullptr) [[unlikely]] {
        record_.attributes().take_back(f.key, rest.key...);
        record_.body().advance_to(p);
      }
      p = end;
    }
    if (p == nullptr) [[unlikely]]
      record_.put(f);
    if constexpr (sizeof...(rest) > 0) {
      write(p, rest...);
    } else if (p != nullptr) {
      record_.body().advance_to(p);
    }
  }

  span_record& record_;
};

/// Attributes of an event of a span that records.
class event_sink {
 public:
  OTLPKIT_ALWAYS_INLINE event_sink(span& to, std::string_view name) noexcept : span_{to}, name_{name} {}

  template <class... Fields>
  OTLPKIT_ALWAYS_INLINE void put(const Fields&... f) const noexcept {
    if constexpr (sizeof...(f) <= 4) {
      if (span_.put_event(name_, f...)) [[likely]]
        return;
    }
    span_.event(name_, {f...});
  }

 private:
  span& span_;
  std::string_view name_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
