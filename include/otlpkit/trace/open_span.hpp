// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/span_record.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Bytes of the fields every span has, with the one at the end that a root has not.
inline constexpr std::size_t span_head_size = 64;
inline constexpr std::size_t span_parent_size = 10;

/// Writes them: trace_id, span_id, kind, start, end, flags, parent_span_id. Constants and values lie across each other
/// in memory, so that no byte has to be shifted into its place.
OTLPKIT_ALWAYS_INLINE wire::byte* put_span_head(wire::byte* p, const span_context& ids, span_id parent,
                                                span_kind span_kind, bool remote_parent, unix_ns start,
                                                unix_ns end) noexcept {
  namespace tag = span_tag;
  constexpr auto id_tag = [](wire::byte field, unsigned size) { return static_cast<std::uint16_t>(field | size << 8); };
  wire::put_fixed(p, id_tag(tag::trace_id, 16));
  std::memcpy(p + 2, &ids.trace, 16);
  wire::put_fixed(p + 18, id_tag(tag::span_id, 8));
  std::memcpy(p + 20, &ids.span, 8);
  wire::put_fixed(p + 28,
                  tag::kind | static_cast<std::uint32_t>(span_kind) << 8 | std::uint32_t{tag::start_time} << 16);
  wire::put_fixed(p + 31, start);
  p[39] = tag::end_time;
  wire::put_fixed(p + 40, end);
  wire::put_fixed(p + 48, tag::flags[0] | std::uint64_t{tag::flags[1]} << 8 |
                              std::uint64_t{span_flags(ids.flags, remote_parent)} << 16 |
                              std::uint64_t{id_tag(tag::parent_span_id, 8)} << 48);
  std::memcpy(p + 56, &parent, 8);
  return p + span_head_size;
}

/// What a span has once it began. Without telemetry it is not made at all: a span is one flag then.
struct open_span {
  /// How a span ends.
  enum class path : std::uint8_t {
    any,        ///< every case is looked at
    counted,    ///< likewise, and its end is counted
    kept,       ///< this one only refers to the span, which is in a kept_span
    recorded,   ///< a current child of a local span, named by a short literal: what most spans are
    unsampled,  ///< likewise, in a trace that is not recorded: there is nothing to hand over
  };

  [[nodiscard]] static constexpr bool is_short(std::string_view name) noexcept { return name.size() - 1 < 32; }

  context_entry entry;
  span_id parent;
  std::uint64_t start;  ///< ticks, or Unix nanoseconds; as the next two only where `has_record`
  int exceptions;       ///< in flight when it began
  std::uint16_t scope;
  span_kind kind;
  bool remote_parent;
  path ends;
  bool current;
  bool start_is_wall;
  bool undecided;   ///< a sampler is asked once it can see the fields
  bool has_record;  ///< `record` is alive: the span recorded at some time
  union {
    span_record record;
  };

  /// One that does not record, and has neither ids nor parent.
  open_span() noexcept
      : kind{span_kind::internal}, remote_parent{false}, ends{path::any}, current{false},
        start_is_wall{false}, undecided{false}, has_record{false} {}

  /// A current child of `above`, which is local and has no trace state. It lacks its id, and if it records all that
  /// only such a span has.
  OTLPKIT_ALWAYS_INLINE open_span(context_entry& above, span* recording) noexcept
      : entry{above, recording}, parent{above.ids.span}, kind{span_kind::internal},
        remote_parent{false}, ends{recording != nullptr ? path::recorded : path::unsampled}, current{true},
        start_is_wall{false}, undecided{false}, has_record{recording != nullptr} {}

  OTLPKIT_ALWAYS_INLINE ~open_span() {
    if (has_record) record.~span_record();
  }
  open_span(const open_span&) = delete;
  open_span& operator=(const open_span&) = delete;

  /// What began as a usual child and is one at its end too: the message is handed over, the parent is current again,
  /// and nothing is left to destroy. False: nothing was done.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool leave_as_usual() noexcept {
    thread_state& thread = this_thread;
    if (ends < path::recorded || thread.slot == nullptr || thread.slot->top != &entry) [[unlikely]]
      return false;
    if (ends == path::unsampled) {
      thread.slot->top = entry.below;
      return true;
    }
    producer& out = thread.spans;
    const std::size_t name_size = record.lasting_name().size();
    const std::size_t size = span_head_size + 2 + name_size + record.body().size();
    if (entry.recording == nullptr || record.dropped() || !record.body().can_give() ||
        !out.has(sizeof(record_header) + size + wire::block_slack) || exceptions_in_flight(thread) > exceptions)
        [[unlikely]]
      return false;
    thread.slot->top = entry.below;
    const unix_ns end_time = entry.anchor.at(platform::cycle_counter());
    const unix_ns start_time = entry.anchor.at(start);
    wire::byte* p = put_span_head(out.at + sizeof(record_header), entry.ids, parent, span_kind::internal, false,
                                  start_time, end_time < start_time ? start_time : end_time);
    wire::put_fixed(p, static_cast<std::uint16_t>(span_tag::name | name_size << 8));
    p = wire::put_short_bytes(p + 2, record.lasting_name().data(), name_size);
    if (record.body().size() != 0) p = record.body().copy_to(p);
    global_runtime.spans.commit(out, p, scope);
    record.body().give();
    return true;
  }

  /// `other` still has to be destroyed.
  open_span(open_span&& other) noexcept
      : entry{static_cast<context_entry&&>(other.entry)}, parent{other.parent}, kind{other.kind},
        remote_parent{other.remote_parent}, ends{other.ends}, current{other.current},
        start_is_wall{other.start_is_wall}, undecided{other.undecided}, has_record{other.has_record} {
    if (!has_record) return;
    start = other.start;
    exceptions = other.exceptions;
    scope = other.scope;
    ::new (static_cast<void*>(&record)) span_record(static_cast<span_record&&>(other.record));
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
