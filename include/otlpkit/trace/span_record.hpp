// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/trace/types.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
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

/// Span.flags and Link.flags: the W3C flags there are (the others say what other propagators need), and that and
/// whether the context they speak of is remote.
[[nodiscard]] constexpr std::uint32_t span_flags(std::uint8_t flags, bool remote) noexcept {
  return (std::uint32_t{flags} & (flag_sampled | flag_random)) | 0x100u | (remote ? 0x200u : 0u);
}

/// What an open span has collected: attributes, events, links and status as fields of its message, in the order they
/// came.
class span_record {
 public:
  constexpr span_record() noexcept = default;
  /// Named by a literal, which is referred to.
  OTLPKIT_ALWAYS_INLINE explicit span_record(std::string_view literal) noexcept : name_{literal} {}

  /// Where the kind of the value is known to the compiler, which it is where fields are written out, this is one call
  /// with all of its arguments in registers.
  OTLPKIT_ALWAYS_INLINE void put(const field& f) noexcept {
    if (!f.key.ascii()) return put_other(f);
    switch (f.content.type()) {
      case value::kind::boolean: return put_boolean(f.key.again(), f.content.integer() != 0);
      case value::kind::integer: return put_integer(f.key.again(), f.content.integer());
      case value::kind::text: return put_text(f.key.again(), f.content.text());
      default: return put_other(f);
    }
  }

  /// Takes over the attributes of a record that was filled before this span began. To be called before put().
  void adopt(span_record& filled) noexcept {
    const std::size_t size = filled.body_.size();
    if (size == 0) return;
    if (!body_.room(size)) return;
    std::memcpy(body_.at(), filled.body_.begin(), size);
    body_.advance_to(body_.at() + size);
    attributes_ = filled.attributes_;
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
    bool ok = events_ < global_runtime.max_events && body_.open(span_tag::events, mark) && body_.room(9);
    if (ok) {
      *body_.at() = span_tag::event_time;
      body_.advance_to(wire::put_fixed(body_.at() + 1, time));
      ok = text(span_tag::event_name, event_name) &&
           put_nested(span_tag::event_attributes, span_tag::event_dropped, global_runtime.event_attributes, attributes,
                      more) &&
           body_.close(mark);
    }
    count(ok, before, events_, dropped_events_);
  }

  /// Most events: of fewer than 128 bytes, with few attributes. False: nothing was put, it is for event().
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool short_event(std::string_view event_name, unix_ns time,
                                                       fields attributes) noexcept {
    return attributes.size() <= 4 &&
           short_event(event_name, 4, time,
                       [attributes](attribute_set& set, wire::byte* p) OTLPKIT_ALWAYS_INLINE_LAMBDA {
                         for (const field& f : attributes) {
                           if (p != nullptr) [[likely]]
                             p = set.try_any(p, global_runtime.event_attributes, span_tag::event_attributes, f);
                         }
                         return p;
                       });
  }
  /// The same where the fields are written out.
  template <class... Fields>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool known_event(std::string_view event_name, unix_ns time,
                                                       const Fields&... f) noexcept {
    constexpr wire::byte tag = span_tag::event_attributes;
    return short_event(event_name, sizeof...(f), time,
                       [&](attribute_set& set, wire::byte* p) OTLPKIT_ALWAYS_INLINE_LAMBDA {
                         const attribute_limits& limits = global_runtime.event_attributes;
                         if constexpr (sizeof...(f) > 0) {
                           if (!set.take_all(limits, f.key...)) [[unlikely]]
                             return static_cast<wire::byte*>(nullptr);
                         }
                         ((p = p != nullptr ? attribute_set::put_known(p, limits, tag, f) : nullptr), ...);
                         return p;
                       });
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

  /// Whether there is an attribute of this key.
  [[nodiscard]] bool has(field_key key) const noexcept { return attributes_.has(body_, 0, span_tag::attributes, key); }
  [[nodiscard]] attribute_set& attributes() noexcept { return attributes_; }
  [[nodiscard]] record_buffer& body() noexcept { return body_; }
  /// The name, if it is not in the body.
  [[nodiscard]] std::string_view lasting_name() const noexcept { return name_; }

  /// Whether something was dropped.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool dropped() const noexcept {
    return (attributes_.dropped() | dropped_events_ | dropped_links_) != 0;
  }
  /// Adds the counts of what was dropped, which end the message.
  void close() noexcept {
    if (dropped()) put_dropped();
  }

 private:
  bool text(wire::byte tag, std::string_view t) noexcept {
    const attribute_limits unlimited;
    value_writer writer{body_, unlimited};
    if (!t.empty()) writer.text_field(tag, t);
    return writer.ok();
  }

  /// \param put_fields writes the attributes, at most so many, and returns their end; nullptr if one is not short
  template <class PutFields>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool short_event(std::string_view event_name, std::size_t most, unix_ns time,
                                                       PutFields put_fields) noexcept {
    constexpr std::size_t head = 13;  // all but the name and the attributes
    if (event_name.size() - 1 >= 64 || events_ >= global_runtime.max_events ||
        !body_.room_at_hand(head + 64 + most * attribute_set::short_room)) [[unlikely]]
      return false;
    wire::byte* const begin = body_.at();
    begin[0] = span_tag::events;
    begin[2] = span_tag::event_time;
    wire::put_fixed(begin + 3, time);
    wire::put_fixed(begin + 11, static_cast<std::uint16_t>(span_tag::event_name | event_name.size() << 8));
    if (!wire::put_ascii(begin + head, event_name.data(), event_name.size())) [[unlikely]]
      return false;
    attribute_set set;
    wire::byte* const end = put_fields(set, begin + head + event_name.size());
    const auto size = static_cast<std::size_t>(end - begin) - 2;
    if (end == nullptr || size >= 128) [[unlikely]]
      return false;
    begin[1] = static_cast<wire::byte>(size);
    body_.advance_to(end);
    ++events_;
    return true;
  }

  OTLPKIT_NOINLINE void put_boolean(field_key key, bool v) noexcept {
    wire::byte* end = nullptr;
    if (body_.room_at_hand(attribute_set::short_room)) [[likely]]
      end = attributes_.try_boolean(body_.at(), global_runtime.span_attributes, span_tag::attributes, key, v);
    if (end == nullptr) [[unlikely]]
      return put_rare(key, v);
    body_.advance_to(end);
  }
  OTLPKIT_NOINLINE void put_integer(field_key key, std::int64_t v) noexcept {
    wire::byte* end = nullptr;
    if (body_.room_at_hand(attribute_set::short_room)) [[likely]]
      end = attributes_.try_integer(body_.at(), global_runtime.span_attributes, span_tag::attributes, key, v);
    if (end == nullptr) [[unlikely]]
      return put_rare(key, v);
    body_.advance_to(end);
  }
  OTLPKIT_NOINLINE void put_text(field_key key, std::string_view v) noexcept {
    wire::byte* end = nullptr;
    if (body_.room_at_hand(attribute_set::short_room)) [[likely]]
      end = attributes_.try_text(body_.at(), global_runtime.span_attributes, span_tag::attributes, key, v);
    if (end == nullptr) [[unlikely]]
      return put_rare(key, v);
    body_.advance_to(end);
  }
  OTLPKIT_NOINLINE void put_other(const field& f) noexcept {
    attributes_.put(body_, 0, global_runtime.span_attributes, span_tag::attributes, f);
  }
  template <class T>
  OTLPKIT_NOINLINE void put_rare(field_key key, T v) noexcept {
    put_other(field{key, v});
  }

  OTLPKIT_NOINLINE void copy_name(std::string_view n) noexcept {
    const std::size_t before = body_.size();
    if (!text(span_tag::name, n)) body_.shrink_to(before);
  }

  OTLPKIT_ALWAYS_INLINE bool put_nested(wire::byte tag, wire::byte dropped_tag, const attribute_limits& limits,
                                        fields attributes, fields more) noexcept {
    attribute_set set;
    const std::size_t from = body_.size();
    for (const field& f : attributes) set.put(body_, from, limits, tag, f);
    for (const field& f : more) set.put(body_, from, limits, tag, f);
    return set.dropped() == 0 || number(dropped_tag, set.dropped());
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

  // In this order all but the name starts as one run of zeros.
  std::string_view name_;  // empty: the name is in the body
  record_buffer body_;
  attribute_set attributes_;
  std::uint32_t events_ = 0;
  std::uint32_t links_ = 0;
  std::uint32_t dropped_events_ = 0;
  std::uint32_t dropped_links_ = 0;
  status_code status_ = status_code::unset;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
