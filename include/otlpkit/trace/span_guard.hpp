// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/span.hpp>

#include <new>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

struct idle_span : span {
  constexpr idle_span() noexcept : span{idle_t{}} {}
};

/// Stands in where no span records: every call on it does nothing, so all threads may share it. Never destroyed; a
/// variable would have every file that includes this compile a span's destructor.
OTLPKIT_VISIBLE inline span& no_span() noexcept {
  alignas(idle_span) static unsigned char room[sizeof(idle_span)];
  static span* const made = ::new (static_cast<void*>(room)) idle_span{};
  return *made;
}

/// What the macros record on; nullptr where nothing does. A span that another thread ends meanwhile ignores it.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE span* recording_span() noexcept {
  context_slot* const slot = this_thread.slot;
  const context_entry* const top = slot != nullptr ? slot->current() : nullptr;
  return top != nullptr ? static_cast<span*>(top->recording) : nullptr;
}

}  // namespace detail

/// The current span of this task, to record on it from further down. Where none records it is a span that ignores all
/// calls. Valid until that span ends.
[[nodiscard]] inline span& current_span() noexcept {
  span* const here = detail::recording_span();
  return here != nullptr ? *here : detail::no_span();
}

/// A span that is current as long as the guard lives: spans started meanwhile are its children. It ends with its scope,
/// with status ERROR when an exception leaves it.
///
/// Move-construct only: a function may return one. For use in one task; the parent becomes current again at the end.
class [[nodiscard]] span_guard : public span {
 public:
  [[nodiscard]] explicit span_guard(span_name name, fields attributes = {}) noexcept : span{idle_t{}} {
    start(name, &detail::default_scope, nullptr, true,
          [&](detail::span_record& record) { put_all(record, attributes); });
  }
  [[nodiscard]] span_guard(span_name name, fields attributes, const span_options& options) noexcept : span{idle_t{}} {
    start(name, options.scope, &options, true, [&](detail::span_record& record) { put_all(record, attributes); });
  }
  span_guard(span_guard&&) noexcept = default;

  /// What the macros use: `put_fields(record)` runs only if the span records.
  template <class PutFields>
  requires requires(PutFields put, detail::span_record& record) { put(record); }
  OTLPKIT_ALWAYS_INLINE span_guard(const instrumentation_scope& scope, span_name name, PutFields&& put_fields) noexcept
      : span{idle_t{}} {
    start(name, &scope, nullptr, true, put_fields);
  }
  template <class PutFields>
  requires requires(PutFields put, detail::span_record& record) { put(record); }
  span_guard(span_name name, const span_options& options, PutFields&& put_fields) noexcept : span{idle_t{}} {
    start(name, options.scope, &options, true, put_fields);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI
