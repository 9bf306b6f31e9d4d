// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/runtime.hpp>
#include <otlpkit/trace/open_span.hpp>
#include <otlpkit/trace/sampler.hpp>
#include <otlpkit/trace/types.hpp>

#include <cstdint>
#include <exception>
#include <new>
#include <string_view>
#include <typeinfo>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {
inline constexpr span_context no_context{};

OTLPKIT_VISIBLE inline constinit platform::atomic<bool> shared_task_reported{false};

/// Two coroutines run as one task: each finds the other's spans. Said once.
OTLPKIT_COLD inline void report_shared_task() noexcept {
  if (shared_task_reported.exchange(true, platform::relaxed)) return;
  report(diagnostic_level::warning,
         "spans of one task ended out of order: two coroutines seem to share the task, so that some spans have wrong "
         "parents. Start coroutines with otlpkit::co_spawn, or include otlpkit/asio/co_spawn.hpp where "
         "boost::asio::co_spawn is called (docs/async.md)");
}
}  // namespace detail

/// The identity of the current span; not valid when there is none. Without telemetry it is what came from outside.
[[nodiscard]] inline const span_context& current_context() noexcept {
  const detail::context_slot* const slot = detail::this_thread.slot;
  return slot != nullptr && slot->top != nullptr ? slot->top->ids : detail::no_context;
}

/// One timed operation. Attributes, events and links become OTLP bytes as they are recorded; the end completes the
/// message and hands it to the thread's log.
///
/// A `span` is not current: for that there is span_guard. It ends with its destructor, or earlier with end(); after
/// that, and when it was not sampled, every call does nothing. One thread at a time may use it, not always the same
/// one. Nothing here throws or takes a lock, nor allocates once the thread's buffers exist.
class [[nodiscard]] span {
 public:
  /// Starts a span, as a child of the current one unless `options` says otherwise.
  [[nodiscard]] explicit span(span_name name, fields attributes = {}, const span_options& options = {}) noexcept {
    start(name, options.scope, &options, false, [&](detail::span_record& record) { put_all(record, attributes); });
  }

  /// The span goes on in the new object; calls on the one left behind do nothing.
  span(span&& other) noexcept : begun_{other.begun_} {
    if (!begun_) return;
    ::new (static_cast<void*>(&live_)) detail::open_span(static_cast<detail::open_span&&>(other.live_));
    if (live_.entry.recording != nullptr) live_.entry.recording = this;
    if (live_.current) detail::current_slot().replace(other.live_.entry, live_.entry);
    other.live_.~open_span();
    other.begun_ = false;
  }
  span(const span&) = delete;
  span& operator=(const span&) = delete;
  span& operator=(span&&) = delete;

  OTLPKIT_ALWAYS_INLINE ~span() {
    if (begun_) leave();
  }

  /// Whether calls still record something.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool recording() const noexcept {
    return begun_ && live_.entry.recording != nullptr;
  }

  /// Its identity, to be passed on; still there after the end. Without telemetry it is the parent's.
  [[nodiscard]] const span_context& context() const noexcept { return begun_ ? live_.entry.ids : current_context(); }

  /// Sets an attribute; a value set before under this key is replaced.
  template <class T>
  OTLPKIT_ALWAYS_INLINE void set(field_key key, const T& v) noexcept {
    if (recording()) live_.record.put(field{key, v});
  }
  void set(fields attributes) noexcept {
    if (recording()) put_all(live_.record, attributes);
  }

  /// Records that something happened, now or at `time` (Unix nanoseconds).
  OTLPKIT_NOINLINE void event(std::string_view name, fields attributes = {}, unix_ns time = 0) noexcept {
    if (!recording()) return;
    if (time == 0) time = now();
    if (!live_.record.short_event(name, time, attributes)) live_.record.event(name, time, attributes);
  }
  /// The same with fields from two lists; of two with the same key the later one counts.
  void event(std::string_view name, fields attributes, fields more, unix_ns time) noexcept {
    if (recording()) live_.record.event(name, time != 0 ? time : now(), attributes, more);
  }

  /// Relates this span to another. A link that names no span is kept only if it has attributes or a trace state.
  void link(const span_context& to, fields attributes = {}) noexcept {
    if (recording()) live_.record.link(to, attributes);
  }

  /// Says how the operation ended. `ok` is final, `unset` is ignored, a later `error` replaces an earlier one. The
  /// description is kept for errors only.
  void status(status_code code, std::string_view description = {}) noexcept {
    if (recording()) live_.record.status(code, description);
  }

  /// Marks the operation as failed: error.type (semantic conventions: a low-cardinality name) and the status.
  void fail(std::string_view error_type, std::string_view description = {}) noexcept {
    set("error.type", error_type);
    status(status_code::error, description);
  }

  /// Records an exception as an event with type and message; `extra` fields of the same key win. The status stays as it
  /// is: whether the operation failed is the caller's to say.
  void record_exception(const std::exception& e, fields extra = {}) noexcept {
    if (!recording()) return;
    const platform::type_name type{typeid(e).name()};
    live_.record.event("exception", now(), {{"exception.type", type.text()}, {"exception.message", e.what()}}, extra);
  }

  /// Gives the span another name. The sampling decision stays.
  void rename(span_name name) noexcept {
    if (recording()) live_.record.rename(name);
  }

  /// Ends the span, now or at `time` (Unix nanoseconds). The first end counts.
  void end(unix_ns time = 0) noexcept {
    if (recording()) finish(time);
  }

 protected:
  struct idle_t {};
  OTLPKIT_ALWAYS_INLINE constexpr explicit span(idle_t) noexcept {}

  /// The order of work is what makes an unsampled span cheap: parent, decision, and only for a span that records a
  /// buffer and the fields.
  template <class PutFields>
  OTLPKIT_ALWAYS_INLINE void start(span_name name, const instrumentation_scope* scope, const span_options* options,
                                   bool current, PutFields&& put_fields) noexcept {
    if ((detail::global_runtime.mode.load(platform::relaxed) & detail::mode_traces) == 0 && options == nullptr) return;
    begun_ = true;
    const bool records = current && options == nullptr && name.lasting()
                             ? begin_child(name.text().data(), name.text().size(), scope)
                             : begin(name, scope, options, current);
    if (!records) return;
    put_fields(live_.record);
    if (live_.undecided) [[unlikely]]
      decide(name, options);
  }

  OTLPKIT_NOINLINE static void put_all(detail::span_record& record, fields attributes) noexcept {
    for (const field& f : attributes) record.put(f);
  }

 private:
  [[nodiscard]] unix_ns now() const noexcept { return live_.entry.anchor.at(detail::global_runtime.clock.now()); }

  /// What nearly every span is: current, named by a literal, child of a span of this process whose decision it follows.
  /// First it is made sure that nothing else is asked for (if so, begin() starts anew); then everything is there at
  /// once. No call, no stack frame.
  OTLPKIT_NOINLINE bool begin_child(const char* name, std::size_t name_size,
                                    const instrumentation_scope* scope) noexcept {
    constexpr std::uint32_t of_interest = detail::mode_traces | detail::mode_parent_based | detail::mode_custom_ids;
    constexpr std::uint32_t usual = detail::mode_traces | detail::mode_parent_based;
    detail::thread_state& thread = detail::this_thread;
    const detail::runtime& runtime = detail::global_runtime;
    if ((runtime.mode.load(platform::acquire) & of_interest) != usual || thread.slot == nullptr ||
        thread.slot->top == nullptr || thread.exceptions == nullptr || !scope->resolved() ||
        !runtime.clock.counts_cycles()) [[unlikely]]
      return begin_literal(name, name_size, scope);
    detail::context_entry& above = *thread.slot->top;
    const bool sampled = above.ids.sampled();
    if (!above.ids.span.valid() || above.ids.remote || !above.ids.state.empty() ||
        (sampled && above.anchor.ns_per_tick == 0)) [[unlikely]]
      return begin_literal(name, name_size, scope);
    // In this order everything fits into registers.
    detail::open_span& l = *::new (static_cast<void*>(&live_)) detail::open_span{above, sampled ? this : nullptr};
    if (!sampled) {
      l.entry.ids.span = {thread.random.next()};
      thread.slot->top = &l.entry;
      return false;
    }
    ::new (static_cast<void*>(&l.record)) detail::span_record{std::string_view{name, name_size}};
    l.scope = scope->resolved_number();
    l.exceptions = detail::exceptions_in_flight(thread);
    thread.slot->top = &l.entry;
    l.entry.ids.span = {thread.random.next()};
    l.start = platform::cycle_counter();
    return true;
  }

  OTLPKIT_COLD bool begin_literal(const char* name, std::size_t name_size,
                                  const instrumentation_scope* scope) noexcept {
    return begin(span_name::literal({name, name_size}), scope, nullptr, true);
  }

  /// Any span. Whether it records, or will if the sampler says so.
  OTLPKIT_NOINLINE bool begin(span_name name, const instrumentation_scope* scope, const span_options* options,
                              bool current) noexcept {
    const std::uint32_t mode = detail::global_runtime.mode.load(platform::acquire);
    detail::context_slot& slot = detail::current_slot();
    ::new (static_cast<void*>(&live_)) detail::open_span;
    live_.current = current;
    adopt(slot, options, mode);
    if (current) slot.push(live_.entry);
    if ((mode & detail::mode_traces) == 0 || (!live_.entry.ids.sampled() && !live_.undecided)) return false;
    live_.entry.recording = this;
    live_.scope = (scope != nullptr ? *scope : detail::default_scope).number();
    if (live_.entry.anchor.ns_per_tick == 0) [[unlikely]]
      live_.entry.anchor = detail::global_runtime.clock.anchor();
    live_.exceptions = detail::exceptions_in_flight();
    ::new (static_cast<void*>(&live_.record)) detail::span_record;
    live_.has_record = true;
    live_.start = detail::global_runtime.clock.now();
    live_.record.name(name);
    if (options != nullptr) apply(*options);
    return true;
  }

  /// Takes identity and clock from the parent, or starts a trace.
  OTLPKIT_ALWAYS_INLINE void adopt(const detail::context_slot& slot, const span_options* options,
                                   std::uint32_t mode) noexcept {
    span_context& ids = live_.entry.ids;
    const parent_choice parent = options != nullptr ? options->parent : parent_choice{};
    if (parent.context() != nullptr) {
      if (parent.context()->valid()) ids = *parent.context();
    } else if (!parent.root() && slot.top != nullptr) {
      ids = slot.top->ids;
      live_.entry.anchor = slot.top->anchor;
    }
    if ((mode & detail::mode_traces) == 0) return;  // the parent's context is all there is to carry
    live_.parent = ids.span;
    live_.remote_parent = ids.remote;
    ids.remote = false;
    const detail::id_source source{mode};
    if (!live_.parent.valid()) {
      ids.trace = source.trace(ids.flags);
      ids.flags |= flag_sampled;
      live_.undecided = detail::global_runtime.sampler.load(platform::relaxed) != nullptr;
    } else {
      live_.undecided = (mode & detail::mode_parent_based) == 0;
    }
    ids.span = source.span();
  }

  OTLPKIT_NOINLINE void apply(const span_options& options) noexcept {
    live_.kind = options.kind;
    if (options.start_time != 0) {
      live_.start = options.start_time;
      live_.start_is_wall = true;
    }
    for (const span_link& l : options.links) live_.record.link(l.context, l.attributes);
  }

  OTLPKIT_COLD void decide(span_name name, const span_options* options) noexcept {
    live_.undecided = false;
    span_context& ids = live_.entry.ids;
    sampling_decision decision = sampling_decision::record_and_sample;
    if (sampler* const chosen = detail::global_runtime.sampler.load(platform::acquire)) {
      const span_context parent = live_.parent.valid()
                                      ? span_context{ids.trace, live_.parent, ids.flags, live_.remote_parent, ids.state}
                                      : span_context{};
      const std::size_t links = options != nullptr ? options->links.size() : 0;
      sampling_changes changes{live_.record.body(), live_.record.attributes(), detail::global_runtime.span_attributes,
                               ids.state};
      decision = chosen->should_sample({parent, ids.trace, name.text(), live_.kind, live_.record.body().view(), links},
                                       changes);
    }
    ids.flags = static_cast<std::uint8_t>(ids.flags & ~flag_sampled);
    if (decision == sampling_decision::record_and_sample) ids.flags |= flag_sampled;
    if (decision == sampling_decision::drop) live_.entry.recording = nullptr;
  }

  OTLPKIT_NOINLINE void leave() noexcept {
    if (!live_.leave_as_usual()) [[unlikely]]
      leave_any();
  }

  OTLPKIT_NOINLINE void leave_any() noexcept {
    using place = detail::context_slot::place;
    const place was = live_.current ? detail::current_slot().remove(live_.entry) : place::innermost;
    if (live_.entry.recording != nullptr) {
      if (was != place::innermost) [[unlikely]]
        left_out_of_order(was == place::absent);
      else if (detail::exceptions_in_flight() > live_.exceptions) [[unlikely]]
        unwound();
      finish(0);
    }
    live_.~open_span();
  }

  /// A guard that is no longer in its task's stack was destroyed with its suspended coroutine: nothing failed, but the
  /// work was not finished either. One below the top shares its task with other work.
  OTLPKIT_COLD void left_out_of_order(bool abandoned) noexcept {
    if (abandoned) return live_.record.put(field{"otlpkit.abandoned", true});
    if (detail::exceptions_in_flight() > live_.exceptions) unwound();
    if (detail::this_thread.slot != &detail::this_thread.own) detail::report_shared_task();
  }

  /// The scope is left by an exception. What it is cannot be seen from here: traced() and record_exception() say more.
  OTLPKIT_COLD void unwound() noexcept {
    if (live_.record.status() != status_code::unset) return;
    if (!live_.record.maybe_has("error.type")) live_.record.put(field{"error.type", "exception"});
    live_.record.status(status_code::error, "left by an exception");
  }

  /// Completes the message and hands it over.
  void finish(unix_ns end_time) noexcept {
    const detail::open_span& l = live_;
    const std::uint64_t tick = detail::global_runtime.clock.now();
    live_.entry.recording = nullptr;
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
    wire::byte* p = detail::global_runtime.spans.reserve(out, 1 + wire::max_varint + size + detail::span_parent_size);
    if (p == nullptr) [[unlikely]]
      return;
    *p++ = 0x12;  // ScopeSpans.spans
    p = wire::put_varint(p, size);
    p = detail::put_span_head(p, l.entry.ids, l.parent, l.kind, l.remote_parent, start, end_time);
    if (!l.parent.valid()) p -= detail::span_parent_size;
    if (!state.empty()) p = wire::put_field(p, detail::span_tag::trace_state, state.data(), state.size());
    if (!name.empty()) p = wire::put_field(p, detail::span_tag::name, name.data(), name.size());
    if (!body.empty()) p = wire::put_bytes(p, body.data(), body.size());
    detail::global_runtime.spans.commit(out, p, l.scope);
  }

  union {
    wire::byte none_ = 0;
    detail::open_span live_;
  };
  bool begun_ = false;
};

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

}  // namespace detail

/// The current span of this task, to record on it from further down. Where none records it is a span that ignores all
/// calls. Valid until that span ends.
[[nodiscard]] inline span& current_span() noexcept {
  const detail::context_slot* const slot = detail::this_thread.slot;
  const bool recording = slot != nullptr && slot->top != nullptr && slot->top->recording != nullptr;
  return recording ? *slot->top->recording : detail::no_span();
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
};

}  // namespace otlpkit::inline OTLPKIT_ABI
