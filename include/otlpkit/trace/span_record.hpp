// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/trace/types.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Field numbers and tags of opentelemetry.proto.trace.v1.Span and its nested messages.
namespace span_tag {
inline constexpr wire::byte trace_id = 0x0A, span_id = 0x12, trace_state = 0x1A, parent_span_id = 0x22, name = 0x2A,
                            kind = 0x30, start_time = 0x39, end_time = 0x41, attributes = 0x4A,
                            dropped_attributes = 0x50, events = 0x5A, dropped_events = 0x60, links = 0x6A,
                            dropped_links = 0x70, status = 0x7A;
inline constexpr wire::byte flags[] = {0x85, 0x01};
inline constexpr wire::byte event_time = 0x09, event_name = 0x12, event_attributes = 0x1A, event_dropped = 0x20;
inline constexpr wire::byte link_trace_id = 0x0A, link_span_id = 0x12, link_trace_state = 0x1A, link_attributes = 0x22,
                            link_dropped = 0x28, link_flags = 0x35;
inline constexpr wire::byte status_message = 0x12, status_code = 0x18;
}  // namespace span_tag

/// Span.flags and Link.flags: the W3C flags, and that and whether the context they speak of is remote.
[[nodiscard]] constexpr std::uint32_t span_flags(std::uint8_t flags, bool remote) noexcept {
  return std::uint32_t{flags} | 0x100u | (remote ? 0x200u : 0u);
}

/// What an open span has collected: attributes, events, links and status as fields of its message, in the order they
/// came.
class span_record {
 public:
  OTLPKIT_ALWAYS_INLINE void put(const field& f) noexcept {
    attributes_.put(body_, 0, global_runtime.span_attributes, f);
  }

  OTLPKIT_ALWAYS_INLINE void name(span_name n) noexcept {
    if (n.lasting()) [[likely]] {
      name_ = n.text();
    } else {
      copy_name(n.text());
    }
  }

  void rename(span_name n) noexcept {
    if (name_.empty()) erase_field(span_tag::name >> 3);
    name_ = {};
    name(n);
  }

  OTLPKIT_NOINLINE void event(std::string_view event_name, unix_ns time, fields attributes, fields more = {}) noexcept {
    const std::size_t before = body_.size();
    std::size_t mark = 0;
    if (events_ >= global_runtime.max_events || !body_.open(span_tag::events, mark) || !body_.room(9)) {
      body_.shrink_to(before);
      ++dropped_events_;
      return;
    }
    wire::byte* const p = body_.at();
    *p = span_tag::event_time;
    body_.advance_to(wire::put_fixed(p + 1, time));
    const bool ok = text(span_tag::event_name, event_name) &&
                    put_nested(span_tag::event_attributes, span_tag::event_dropped, global_runtime.event_attributes,
                               attributes, more) &&
                    body_.close(mark);
    count(ok, before, events_, dropped_events_);
  }

  void link(const span_context& to, fields attributes) noexcept {
    const std::string_view state = to.state.header();
    if (!to.valid() && attributes.size() == 0 && state.empty()) return;
    const std::size_t before = body_.size();
    std::size_t mark = 0;
    if (links_ >= global_runtime.max_links || !body_.open(span_tag::links, mark) || !body_.room(48 + state.size())) {
      body_.shrink_to(before);
      ++dropped_links_;
      return;
    }
    wire::byte* p =
        wire::put_field(body_.at(), span_tag::link_trace_id, reinterpret_cast<const char*>(&to.trace), sizeof to.trace);
    p = wire::put_field(p, span_tag::link_span_id, reinterpret_cast<const char*>(&to.span), sizeof to.span);
    if (!state.empty()) p = wire::put_field(p, span_tag::link_trace_state, state.data(), state.size());
    *p++ = span_tag::link_flags;
    body_.advance_to(wire::put_fixed(p, span_flags(to.flags, to.remote)));
    const bool ok =
        put_nested(span_tag::link_attributes, span_tag::link_dropped, global_runtime.link_attributes, attributes, {}) &&
        body_.close(mark);
    count(ok, before, links_, dropped_links_);
  }

  void status(status_code code, std::string_view description) noexcept {
    if (status_ == status_code::ok || code == status_code::unset) return;
    if (status_ != status_code::unset) erase_field(span_tag::status >> 3);
    const std::size_t before = body_.size();
    std::size_t mark = 0;
    bool ok = body_.open(span_tag::status, mark);
    if (code == status_code::error && !description.empty()) ok = ok && text(span_tag::status_message, description);
    if (ok && body_.room(2)) {
      wire::byte* const p = body_.at();
      p[0] = span_tag::status_code;
      p[1] = static_cast<wire::byte>(code);
      body_.advance_to(p + 2);
      if (body_.close(mark)) {
        status_ = code;
        return;
      }
    }
    body_.shrink_to(before);
  }

  [[nodiscard]] status_code status() const noexcept { return status_; }

  /// Whether an attribute of this key was put; false may be trusted, true is nearly sure.
  [[nodiscard]] bool maybe_has(const field_key& key) const noexcept { return attributes_.maybe_has(key); }
  [[nodiscard]] attribute_writer& attributes() noexcept { return attributes_; }
  [[nodiscard]] record_buffer& body() noexcept { return body_; }
  /// The name, if it is not in the body.
  [[nodiscard]] std::string_view lasting_name() const noexcept { return name_; }

  /// Adds the counts of what was dropped, which end the message.
  OTLPKIT_ALWAYS_INLINE void close() noexcept {
    if ((attributes_.dropped() | dropped_events_ | dropped_links_) != 0) [[unlikely]]
      put_dropped();
  }

 private:
  bool text(wire::byte tag, std::string_view t) noexcept {
    const attribute_limits unlimited;
    value_writer writer{body_, unlimited};
    if (!t.empty()) writer.text_field(tag, t);
    return writer.ok();
  }

  OTLPKIT_NOINLINE void copy_name(std::string_view n) noexcept {
    const std::size_t before = body_.size();
    if (!text(span_tag::name, n)) body_.shrink_to(before);
  }

  bool put_nested(wire::byte tag, wire::byte dropped_tag, const attribute_limits& limits, fields attributes,
                  fields more) noexcept {
    attribute_writer writer{tag};
    const std::size_t from = body_.size();
    for (const field& f : attributes) writer.put(body_, from, limits, f);
    for (const field& f : more) writer.put(body_, from, limits, f);
    return writer.dropped() == 0 || number(dropped_tag, writer.dropped());
  }

  void count(bool ok, std::size_t before, std::uint32_t& kept, std::uint32_t& dropped) noexcept {
    if (ok) {
      ++kept;
    } else {
      body_.shrink_to(before);
      ++dropped;
    }
  }

  bool number(wire::byte tag, std::uint32_t n) noexcept {
    if (!body_.room(1 + wire::max_varint)) return false;
    *body_.at() = tag;
    body_.advance_to(wire::put_varint(body_.at() + 1, n));
    return true;
  }

  OTLPKIT_COLD void put_dropped() noexcept {
    if (attributes_.dropped() != 0) static_cast<void>(number(span_tag::dropped_attributes, attributes_.dropped()));
    if (dropped_events_ != 0) static_cast<void>(number(span_tag::dropped_events, dropped_events_));
    if (dropped_links_ != 0) static_cast<void>(number(span_tag::dropped_links, dropped_links_));
  }

  void erase_field(std::uint32_t field_number) noexcept {
    wire::reader message{body_.view()};
    std::size_t at = 0;
    while (message.next()) {
      const std::size_t next = body_.size() - message.rest().size();
      if (message.number() == field_number) return body_.erase(at, next - at);
      at = next;
    }
  }

  record_buffer body_;
  std::string_view name_;  // empty: the name is in the body
  attribute_writer attributes_{span_tag::attributes};
  std::uint32_t events_ = 0;
  std::uint32_t links_ = 0;
  std::uint32_t dropped_events_ = 0;
  std::uint32_t dropped_links_ = 0;
  status_code status_ = status_code::unset;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
