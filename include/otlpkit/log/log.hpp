// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/log/level.hpp>
#include <otlpkit/trace/span.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <string_view>
#include <typeinfo>

namespace otlpkit::inline OTLPKIT_ABI {

/// What a log record says beyond severity, message and fields. Used within the call it is passed to, so temporaries in
/// it are safe.
struct log_options {
  std::string_view event_name = {};              ///< makes the record an event of this kind; at most 256 bytes, please
  const std::exception* exception = nullptr;     ///< becomes exception.type and exception.message
  parent_choice context = {};                    ///< the span it belongs to; default: the current one
  unix_ns time = 0;                              ///< when it happened, Unix nanoseconds; 0: now
  const instrumentation_scope* scope = nullptr;  ///< who records; default: otlpkit's own scope
};

namespace detail {

/// Tags of opentelemetry.proto.logs.v1.LogRecord.
namespace log_tag {
inline constexpr wire::byte time = 0x09, severity_number = 0x10, severity_text = 0x1A, body = 0x2A, attributes = 0x32,
                            dropped_attributes = 0x38, flags = 0x45, trace_id = 0x4A, span_id = 0x52,
                            observed_time = 0x59, event_name = 0x62;
}  // namespace log_tag

/// The fields severity_number and severity_text, encoded for each severity.
struct encoded_severity {
  wire::byte bytes[10] = {};
  std::uint8_t size = 0;

  static constexpr std::array<encoded_severity, 25> all() noexcept {
    std::array<encoded_severity, 25> table{};
    for (std::uint8_t n = 1; n < 25; ++n) {
      encoded_severity& e = table[n];
      const std::string_view text = to_string(static_cast<severity>(n));
      e.bytes[e.size++] = log_tag::severity_number;
      e.bytes[e.size++] = n;
      e.bytes[e.size++] = log_tag::severity_text;
      e.bytes[e.size++] = static_cast<wire::byte>(text.size());
      for (const char c : text) e.bytes[e.size++] = static_cast<wire::byte>(c);
    }
    return table;
  }
};
inline constexpr std::array<encoded_severity, 25> encoded_severities = encoded_severity::all();

inline constexpr log_options no_log_options{};

/// Where a record belongs and when it was made.
struct log_origin {
  const span_context* ids = nullptr;  ///< nullptr: no span
  unix_ns now = 0;

  log_origin(const context_entry* top, const parent_choice& wanted) noexcept {
    const std::uint64_t tick = global_runtime.clock.now();
    // On the clock of the trace, so that a record lies where it belongs between the spans around it.
    const bool anchored = top != nullptr && top->anchor.ns_per_tick != 0;
    now = anchored ? top->anchor.at(tick) : global_runtime.clock.wall_at(tick);
    if (wanted.context() != nullptr) {
      ids = wanted.context();
    } else if (top != nullptr && !wanted.root()) {
      ids = &top->ids;
    }
    if (ids != nullptr && !ids->valid()) ids = nullptr;
  }
};

/// Appends one record to the thread's log: a head of fixed fields, and the rest.
class log_writer {
 public:
  OTLPKIT_ALWAYS_INLINE log_writer(const instrumentation_scope& scope, severity s, unix_ns time,
                                   const log_origin& from) noexcept
      : scope_{scope}, from_{from}, level_{encoded_severities[static_cast<std::size_t>(s)]}, time_{time} {}

  /// \param room bytes the rest takes at most
  /// \param put_rest (p) writes it at p and returns its end; nullptr: the record shall not be written
  /// \return false when put_rest said so
  template <class PutRest>
  OTLPKIT_ALWAYS_INLINE bool write(std::size_t room, PutRest&& put_rest) const noexcept {
    const std::uint16_t scope = scope_.number();  // first: it may report, and the callback may log
    producer& out = this_thread.logs;
    wire::byte* const record = global_runtime.logs.reserve(out, most_head + room);
    if (record == nullptr) [[unlikely]]
      return true;  // dropped, and counted
    wire::byte* const end = put_rest(put_head(record));
    if (end == nullptr) [[unlikely]]
      return false;
    global_runtime.logs.commit(out, end, scope);
    return true;
  }

 private:
  static constexpr std::size_t most_head = 18 + sizeof(encoded_severity::bytes) + 33;

  OTLPKIT_ALWAYS_INLINE wire::byte* put_head(wire::byte* p) const noexcept {
    p[0] = log_tag::time;
    wire::put_fixed(p + 1, time_);
    p[9] = log_tag::observed_time;
    wire::put_fixed(p + 10, from_.now);
    std::memcpy(p + 18, level_.bytes, sizeof level_.bytes);  // all of it: what is too much is written over
    p += 18 + level_.size;
    if (from_.ids == nullptr) return p;
    const span_context& ids = *from_.ids;
    p[0] = log_tag::flags;
    wire::put_fixed(p + 1, std::uint32_t{ids.flags});
    p[5] = log_tag::trace_id;
    p[6] = sizeof ids.trace;
    std::memcpy(p + 7, &ids.trace, sizeof ids.trace);
    p[23] = log_tag::span_id;
    p[24] = sizeof ids.span;
    std::memcpy(p + 25, &ids.span, sizeof ids.span);
    return p + 33;
  }

  const instrumentation_scope& scope_;
  const log_origin& from_;
  const encoded_severity& level_;
  unix_ns time_;
};

/// Puts together what is not plain: any body, event name, attributes within their limits, and what was dropped.
class log_rest {
 public:
  void put(fields attributes) noexcept {
    for (const field& f : attributes) attributes_.put(bytes_, 0, global_runtime.log_attributes, f);
  }

  void body(const value& v) noexcept {
    if (v.type() == value::kind::empty) return;
    write([&](value_writer& writer) {
      std::size_t mark = 0;
      if (!bytes_.open(log_tag::body, mark)) return false;
      writer.put(v);
      return writer.ok() && bytes_.close(mark);
    });
  }

  void event_name(std::string_view name) noexcept {
    if (name.empty()) return;
    write([&](value_writer& writer) {
      writer.text_field(log_tag::event_name, name);
      return writer.ok();
    });
  }

  void close() noexcept {
    const std::uint32_t dropped = attributes_.dropped() + lost_;
    if (dropped == 0 || !bytes_.room(1 + wire::max_varint)) return;
    *bytes_.at() = log_tag::dropped_attributes;
    bytes_.advance_to(wire::put_varint(bytes_.at() + 1, dropped));
  }

  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_.view(); }

 private:
  template <class Content>
  void write(Content&& content) noexcept {
    const attribute_limits unlimited;  // those there are, are of attributes
    const std::size_t before = bytes_.size();
    value_writer writer{bytes_, unlimited};
    if (content(writer)) return;
    bytes_.shrink_to(before);
    ++lost_;  // the record says that something is missing
  }

  record_buffer bytes_;
  attribute_writer attributes_{log_tag::attributes};
  std::uint32_t lost_ = 0;
};

/// The record once more, as an event of the span it was made in.
OTLPKIT_COLD inline void mirror_log(span& to, severity s, const value& body, fields attributes,
                                    std::string_view event_name, unix_ns time) noexcept {
  const std::string_view name = event_name.empty() ? std::string_view{"log"} : event_name;
  to.event(name, {{"otlpkit.log.severity", to_string(s)}, {"otlpkit.log.message", body}}, attributes, time);
}

OTLPKIT_NOINLINE inline void write_any_log(const log_writer& to, const value& body, fields attributes,
                                           const log_options& options, std::uint64_t suppressed) noexcept {
  log_rest rest;
  if (options.exception != nullptr) {  // first: fields of the same key win
    const platform::type_name type{typeid(*options.exception).name()};
    rest.put({{"exception.type", type.text()}, {"exception.message", options.exception->what()}});
  }
  rest.put(attributes);
  if (suppressed != 0) rest.put({{"otlpkit.log.suppressed", suppressed}});
  rest.body(body);
  rest.event_name(options.event_name);
  rest.close();
  const std::string_view bytes = rest.bytes();
  static_cast<void>(to.write(bytes.size(), [bytes](wire::byte* p) {
    if (!bytes.empty()) std::memcpy(p, bytes.data(), bytes.size());
    return p + bytes.size();
  }));
}

/// ASCII with short fields, which nearly every record is, written to where it stays. False: it is something else, and
/// nothing was written.
OTLPKIT_ALWAYS_INLINE bool write_plain_log(const log_writer& to, const value& body, fields attributes) noexcept {
  constexpr std::size_t most_fields = 12, most_text = 1024, around_text = 2 * (1 + wire::max_varint);
  if (body.type() != value::kind::text || body.size() > most_text || attributes.size() > most_fields) return false;
  const std::size_t room = around_text + body.size() + attributes.size() * attribute_set::short_room;
  return to.write(room, [&](wire::byte* p) OTLPKIT_ALWAYS_INLINE_LAMBDA -> wire::byte* {
    const std::string_view text = body.text();
    *p++ = log_tag::body;
    p = wire::put_varint(p, wire::field_size(text.size()));
    *p++ = 0x0A;
    p = wire::put_varint(p, text.size());
    if (!wire::put_ascii(p, text.data(), text.size())) [[unlikely]]
      return nullptr;
    p += text.size();
    attribute_set set;
    for (const field& f : attributes) {
      p = set.try_any(p, global_runtime.log_attributes, log_tag::attributes, f);
      if (p == nullptr) [[unlikely]]
        return nullptr;
    }
    return p;
  });
}

/// What every macro and function ends in. The caller has asked whether the record is kept.
/// \param suppressed records of a rate-limited call that were not made since the last one
OTLPKIT_NOINLINE inline void emit_log(const instrumentation_scope& scope, severity s, const value& body,
                                      fields attributes, const log_options& options = no_log_options,
                                      std::uint64_t suppressed = 0) noexcept {
  const std::uint32_t mode = global_runtime.mode.load(platform::acquire);
  if ((mode & mode_logs) == 0 || s >= severity::off) return;
  const context_entry* const top = current_slot().current();
  const log_origin from{top, options.context};
  const unix_ns time = options.time != 0 ? options.time : from.now;
  const log_writer to{scope, s, time, from};
  const bool simple = options.exception == nullptr && options.event_name.empty() && suppressed == 0;
  if (!simple || !write_plain_log(to, body, attributes)) write_any_log(to, body, attributes, options, suppressed);
  if ((mode & mode_log_events) != 0 && top != nullptr && top->recording != nullptr) [[unlikely]]
    mirror_log(*top->recording, s, body, attributes, options.event_name, time);
}

}  // namespace detail

/// Records a log record, correlated with the current span: log(severity::info, "product loaded", {{"id", id}}). The
/// message is text of any length, or any other value that a field may have; nullptr: none. Thread-safe; nothing here
/// throws or takes a lock, nor allocates once the thread's buffers exist. The arguments are evaluated in any case: the
/// macros evaluate them only if the record is kept.
inline void log(severity s, const value& message, fields attributes = {},
                const log_options& options = detail::no_log_options) noexcept {
  const instrumentation_scope& scope = options.scope != nullptr ? *options.scope : detail::default_scope;
  if (detail::logs(s, scope)) detail::emit_log(scope, s, message, attributes, options);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
