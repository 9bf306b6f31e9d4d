// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/trace/open_span.hpp>
#include <otlpkit/trace/types.hpp>

#include <cstdint>
#include <exception>
#include <new>
#include <string_view>
#include <typeinfo>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {
struct kept_span;
inline constexpr span_context no_context{};
}  // namespace detail

/// The identity of the current span; not valid when there is none. Without telemetry it is what came from outside.
[[nodiscard]] inline span_context current_context() noexcept {
  detail::context_slot* const slot = detail::this_thread.slot;
  const detail::context_entry* const top = slot != nullptr ? slot->current() : nullptr;
  return top != nullptr ? top->ids : detail::no_context;
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
    if (other.live_.current && !detail::this_thread.stack.has(this)) {
      move_to_kept(other);
    } else {
      move_from(other);
      if (live_.current) detail::current_slot().replace(other.live_.entry, live_.entry);
    }
    other.leave_behind();
  }
  span(const span&) = delete;
  span& operator=(const span&) = delete;
  span& operator=(span&&) = delete;

  OTLPKIT_ALWAYS_INLINE ~span() {
    if (begun_) leave();
  }

  /// Whether calls still record something.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool recording() const noexcept {
    return records_here() || (kept() && kept_recording());
  }

  /// Its identity, to be passed on; still there after the end. Without telemetry it is the parent's.
  [[nodiscard]] span_context context() const noexcept {
    if (!begun_) return current_context();
    return kept() ? kept_context() : live_.entry.ids;
  }

  /// Sets an attribute; a value set before under this key is replaced.
  template <class T>
  OTLPKIT_ALWAYS_INLINE void set(field_key key, const T& v) noexcept {
    if (records_here()) {
      live_.record.put(field{key, v});
    } else if (kept()) [[unlikely]] {
      set({{key, v}});
    }
  }
  OTLPKIT_NOINLINE void set(fields attributes) noexcept {
    reach([&](span& s) { put_all(s.live_.record, attributes); });
  }

  /// Records that something happened, now or at `time` (Unix nanoseconds).
  OTLPKIT_NOINLINE void event(std::string_view name, fields attributes = {}, unix_ns time = 0) noexcept {
    reach([&](span& s) {
      if (time == 0) time = s.now();
      if (!s.live_.record.short_event(name, time, attributes)) s.live_.record.event(name, time, attributes);
    });
  }
  /// The same with fields from two lists; of two with the same key the later one counts.
  OTLPKIT_NOINLINE void event(std::string_view name, fields attributes, fields more, unix_ns time) noexcept {
    reach([&](span& s) { s.live_.record.event(name, time != 0 ? time : s.now(), attributes, more); });
  }

  /// What the macro uses, of the span that records here: false if it is for event().
  template <class... Fields>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool put_event(std::string_view name, const Fields&... attributes) noexcept {
    return live_.ends != detail::open_span::path::kept && live_.record.known_event(name, now(), attributes...);
  }

  /// Relates this span to another. A link that names no span is kept only if it has attributes or a trace state.
  OTLPKIT_NOINLINE void link(const span_context& to, fields attributes = {}) noexcept {
    reach([&](span& s) { s.live_.record.link(to, attributes); });
  }

  /// Says how the operation ended. `ok` is final, `unset` is ignored, a later `error` replaces an earlier one. The
  /// description is kept for errors only.
  OTLPKIT_NOINLINE void status(status_code code, std::string_view description = {}) noexcept {
    reach([&](span& s) { s.live_.record.status(code, description); });
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
    event("exception", {{"exception.type", type.text()}, {"exception.message", e.what()}}, extra, 0);
  }

  /// Gives the span another name. The sampling decision stays.
  OTLPKIT_NOINLINE void rename(span_name name) noexcept {
    reach([&](span& s) {
      s.live_.record.rename(name);
      if (s.live_.ends == detail::open_span::path::recorded) s.live_.ends = detail::open_span::path::any;
    });
  }

  /// Ends the span, now or at `time` (Unix nanoseconds). The first end counts.
  OTLPKIT_NOINLINE void end(unix_ns time = 0) noexcept {
    reach([&](span& s) { s.finish(time); });
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
    const std::string_view text = name.text();
    const bool usual = current && options == nullptr && name.lasting() && detail::open_span::is_short(text);
    detail::span_record* const record =
        usual ? begin_child(text.data(), text.size(), scope) : begin_any(name, scope, options, current);
    if (record == nullptr) return;
    put_fields(*record);
    if (live_.undecided) [[unlikely]]
      decide(name, options);
  }

  OTLPKIT_NOINLINE static void put_all(detail::span_record& record, fields attributes) noexcept {
    for (const field& f : attributes) record.put(f);
  }

 private:
  [[nodiscard]] unix_ns now() const noexcept { return live_.entry.anchor.at(detail::global_runtime.clock.now()); }

  /// What nearly every span is: current, a local variable, named by a short literal, child of a span of this process
  /// whose decision it follows. First it is made sure that nothing else is asked for (if so, begin_any() starts anew);
  /// then everything is there at once. No call, no stack frame. Returns the record if there is one.
  OTLPKIT_NOINLINE detail::span_record* begin_child(const char* name, std::size_t name_size,
                                                    const instrumentation_scope* scope) noexcept {
    constexpr std::uint32_t of_interest =
        detail::mode_traces | detail::mode_parent_based | detail::mode_custom_ids | detail::mode_count_spans;
    constexpr std::uint32_t usual = detail::mode_traces | detail::mode_parent_based;
    detail::thread_state& thread = detail::this_thread;
    const detail::runtime& runtime = detail::global_runtime;
    const std::uint32_t number = scope->known_number();
    if ((runtime.mode.load(platform::acquire) & of_interest) != usual || !thread.stack.has(this) ||
        thread.slot->top == nullptr || thread.slot->top->state != detail::entry_state::usual ||
        number == instrumentation_scope::unresolved || !runtime.clock.counts_cycles()) [[unlikely]]
      return begin_literal(name, name_size, scope);
    detail::context_entry& above = *thread.slot->top;
    if (!above.ids.sampled()) {
      ::new (static_cast<void*>(&live_)) detail::open_span{above, nullptr};
      live_.entry.ids.span = {thread.random.next()};
      thread.slot->top = &live_.entry;
      return nullptr;
    }
    // In this order everything fits into registers, and the id, which takes longest, holds nothing else up.
    detail::open_span& l = *::new (static_cast<void*>(&live_)) detail::open_span{above, this};
    ::new (static_cast<void*>(&l.record)) detail::span_record{std::string_view{name, name_size}};
    l.scope = static_cast<std::uint16_t>(number);
    l.exceptions = detail::exceptions_in_flight(thread);
    thread.slot->top = &l.entry;
    l.entry.ids.span = {thread.random.next()};
    l.start = platform::cycle_counter();
    return &l.record;
  }

  OTLPKIT_COLD detail::span_record* begin_literal(const char* name, std::size_t name_size,
                                                  const instrumentation_scope* scope) noexcept {
    return begin_any(span_name::literal({name, name_size}), scope, nullptr, true);
  }

  OTLPKIT_NOINLINE detail::span_record* begin_any(span_name name, const instrumentation_scope* scope,
                                                  const span_options* options, bool current) noexcept {
    static_cast<void>(detail::current_slot());
    if (current && !detail::this_thread.stack.has(this)) return begin_kept(name, scope, options);
    return begin(name, scope, options, current) ? &live_.record : nullptr;
  }

  /// Any span. Whether it records, or will if the sampler says so.
  OTLPKIT_NOINLINE bool begin(span_name name, const instrumentation_scope* scope, const span_options* options,
                              bool current) noexcept {
    const std::uint32_t mode = detail::global_runtime.mode.load(platform::acquire);
    detail::context_slot& slot = detail::current_slot();
    ::new (static_cast<void*>(&live_)) detail::open_span;
    live_.current = current;
    adopt(slot, options, mode);
    note_state();
    if (current) slot.push(live_.entry);
    if ((mode & detail::mode_traces) == 0) return false;
    const bool sampled = live_.entry.ids.sampled();
    if ((mode & detail::mode_count_spans) != 0 && !live_.undecided) [[unlikely]]
      count_start(sampled ? sampling::record_and_sample : sampling::drop);
    if (!sampled && !live_.undecided) return false;
    live_.entry.recording = this;
    live_.scope = (scope != nullptr ? *scope : detail::default_scope).number();
    if (live_.entry.anchor.ns_per_tick == 0) [[unlikely]] {
      live_.entry.anchor = detail::global_runtime.clock.anchor();
      note_state();
    }
    live_.exceptions = detail::exceptions_in_flight();
    ::new (static_cast<void*>(&live_.record)) detail::span_record;
    live_.has_record = true;
    live_.start = detail::global_runtime.clock.now();
    live_.record.name(name);
    if (options != nullptr) apply(*options);
    return true;
  }

  /// Takes identity and clock from the parent, or starts a trace.
  OTLPKIT_ALWAYS_INLINE void adopt(detail::context_slot& slot, const span_options* options,
                                   std::uint32_t mode) noexcept {
    span_context& ids = live_.entry.ids;
    const parent_choice parent = options != nullptr ? options->parent : parent_choice{};
    if (parent.context() != nullptr) {
      if (parent.context()->valid()) ids = *parent.context();
    } else if (const detail::context_entry* const top = slot.current(); !parent.root() && top != nullptr) {
      ids = top->ids;
      live_.entry.anchor = top->anchor;
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

  /// For begin_child(). Only what is recorded needs a clock.
  void note_state() noexcept {
    const detail::context_entry& e = live_.entry;
    const bool usual =
        e.ids.span.valid() && !e.ids.remote && e.ids.state.empty() && (e.anchor.ns_per_tick != 0 || !e.ids.sampled());
    live_.entry.state = usual ? detail::entry_state::usual : detail::entry_state::any;
  }

  OTLPKIT_NOINLINE void apply(const span_options& options) noexcept {
    live_.kind = options.kind;
    if (options.start_time != 0) {
      live_.start = options.start_time;
      live_.start_is_wall = true;
    }
    for (const span_link& l : options.links) live_.record.link(l.context, l.attributes);
  }

  // What the sampler decides: span_sampling.hpp.
  void decide(span_name name, const span_options* options) noexcept;
  using sampling = detail::span_counts::result;

  void count_start(sampling decided) noexcept;
  void count_end() const noexcept;

  OTLPKIT_NOINLINE void leave() noexcept {
    if (!live_.leave_as_usual()) [[unlikely]]
      leave_any();
  }

  OTLPKIT_NOINLINE void leave_any() noexcept {
    if (kept()) return leave_kept();
    using place = detail::context_slot::place;
    wind_up(live_.current ? detail::current_slot().remove(live_.entry) : place::innermost, false);
    live_.~open_span();
  }

  // How it ends: span_end.hpp.
  /// \param in_task whether it began in a task's slot
  void wind_up(detail::context_slot::place was, bool in_task) noexcept;
  void unwound() noexcept;
  void finish(unix_ns end_time) noexcept;

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool records_here() const noexcept {
    return begun_ && live_.entry.recording != nullptr;
  }

  /// Does it to the span, if it records.
  template <class F>
  OTLPKIT_ALWAYS_INLINE void reach(F&& what) noexcept {
    if (records_here()) {
      what(*this);
    } else if (kept()) [[unlikely]] {
      reach_kept(what);
    }
  }

  void move_from(span& other) noexcept {
    ::new (static_cast<void*>(&live_)) detail::open_span(static_cast<detail::open_span&&>(other.live_));
    if (live_.entry.recording != nullptr) live_.entry.recording = this;
  }
  void leave_behind() noexcept {
    live_.~open_span();
    begun_ = false;
  }

  // A guard that is no local variable: kept_span.hpp.
  friend struct detail::kept_span;
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool kept() const noexcept {
    return begun_ && live_.ends == detail::open_span::path::kept;
  }
  [[nodiscard]] bool kept_recording() const noexcept;
  [[nodiscard]] span_context kept_context() const noexcept;
  detail::span_record* begin_kept(span_name name, const instrumentation_scope* scope,
                                  const span_options* options) noexcept;
  void decide_kept(span_name name, const span_options* options) noexcept;
  void leave_kept() noexcept;
  void move_to_kept(span& other) noexcept;
  void refer_to(detail::kept_span& k) noexcept;
  template <class F>
  void reach_kept(F& what) noexcept;

  struct nothing {};
  union {
    nothing none_{};
    detail::open_span live_;
  };
  bool begun_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI

#include <otlpkit/trace/kept_span.hpp>
#include <otlpkit/trace/span_end.hpp>
#include <otlpkit/trace/span_guard.hpp>
#include <otlpkit/trace/span_sampling.hpp>
