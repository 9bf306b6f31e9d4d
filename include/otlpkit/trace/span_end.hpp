// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/misuse.hpp>
#include <otlpkit/trace/span.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

inline void span::wind_up(detail::context_slot::place was, bool in_task) noexcept {
  using place = detail::context_slot::place;
  if (live_.entry.recording == nullptr) return;
  if (was == place::absent && in_task) [[unlikely]] {
    // Destroyed with its suspended coroutine: nothing failed, but the work was not finished either.
    live_.record.put(field{"otlpkit.abandoned", true});
  } else {
    if (detail::exceptions_in_flight() > live_.exceptions) [[unlikely]]
      unwound();
    if (was != place::innermost) [[unlikely]]
      detail::this_thread.slot != &detail::this_thread.own&& was == place::inner ? detail::report_shared_task()
                                                                                 : detail::report_stray_guard();
  }
  finish(0);
}

/// The scope is left by an exception. What it is cannot be seen from here: traced() and record_exception() say more.
OTLPKIT_COLD inline void span::unwound() noexcept {
  if (live_.record.status() != status_code::unset) return;
  if (detail::cancelled_here()) return live_.record.put(field{"otlpkit.cancelled", true});
  if (!live_.record.has("error.type")) live_.record.put(field{"error.type", "exception"});
  live_.record.status(status_code::error, "left by an exception");
}

/// Completes the message and hands it over.
inline void span::finish(unix_ns end_time) noexcept {
  const detail::open_span& l = live_;
  const std::uint64_t tick = detail::global_runtime.clock.now();
  live_.entry.recording = nullptr;
  if (live_.ends == detail::open_span::path::counted) [[unlikely]]
    count_end();
  live_.ends = detail::open_span::path::any;
  if (!l.entry.ids.sampled() && !detail::global_runtime.keep_unsampled.load(platform::relaxed)) return;
  const unix_ns start = l.start_is_wall ? l.start : l.entry.anchor.at(l.start);
  if (end_time == 0) end_time = l.entry.anchor.at(tick);
  if (end_time < start) end_time = start;
  live_.record.close();
  const std::string_view name = l.record.lasting_name();
  const std::string_view state = l.entry.ids.state.header();
  const std::string_view body = live_.record.body().view();
  std::size_t size =
      (l.parent.valid() ? detail::span_head_size : detail::span_head_size - detail::span_parent_size) + body.size();
  if (!name.empty()) size += wire::field_size(name.size());
  if (!state.empty()) size += wire::field_size(state.size());

  detail::producer& out = detail::this_thread.spans;
  wire::byte* p = detail::global_runtime.spans.reserve(out, size + detail::span_parent_size);
  if (p == nullptr) [[unlikely]]
    return;
  p = detail::put_span_head(p, l.entry.ids, l.parent, l.kind, l.remote_parent, start, end_time);
  if (!l.parent.valid()) p -= detail::span_parent_size;
  if (!state.empty()) p = wire::put_field(p, detail::span_tag::trace_state, state.data(), state.size());
  if (!name.empty()) p = wire::put_field(p, detail::span_tag::name, name.data(), name.size());
  if (!body.empty()) p = wire::put_bytes(p, body.data(), body.size());
  detail::global_runtime.spans.commit(out, p, l.scope);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
