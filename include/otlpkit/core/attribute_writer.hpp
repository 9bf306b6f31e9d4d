// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/value_writer.hpp>
#include <otlpkit/core/wire_reader.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// The attributes of one record under construction. Keeps keys unique (the last value wins) and within the limits, and
/// counts what it drops. Not thread-safe.
///
/// Everything goes into `out`, where the attributes of this record start at or after offset `from`. The tag is that of
/// the message's repeated KeyValue field: Span.attributes, Event.attributes, ...
class attribute_set {
 public:
  [[nodiscard]] std::uint32_t dropped() const noexcept { return dropped_; }

  /// Whether `key` may have been put already; if not so, it was not.
  [[nodiscard]] bool maybe_has(field_key key) const noexcept { return (seen_ & key.bit()) != 0; }
  /// Whether a record whose attributes begin at `from` has this one.
  [[nodiscard]] bool has(const record_buffer& out, std::size_t from, wire::byte tag, field_key key) const noexcept {
    return maybe_has(key) && find(out, from, tag, key.text()).size != 0;
  }

  OTLPKIT_NOINLINE void put(record_buffer& out, std::size_t from, const attribute_limits& limits, wire::byte tag,
                            const field& f) noexcept {
    wire::byte* end = nullptr;
    if (out.room_at_hand(short_room)) end = try_any(out.at(), limits, tag, f);
    if (end == nullptr) [[unlikely]]
      return put_any(out, from, limits, tag, f);
    out.advance_to(end);
  }

  // What is short and usual is written at `p`, where there are `short_room` bytes, without a call. The end of it is
  // returned; nullptr: nothing was put, it is for put_any().

  /// Bytes a short attribute takes at most, with what may be written in vain.
  static constexpr std::size_t short_room = 128 + 8;

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_any(wire::byte* p, const attribute_limits& limits, wire::byte tag,
                                                          const field& f) noexcept {
    const field_key key = !f.key.ascii() && utf8::is_short_ascii(f.key.text()) ? f.key.as_ascii() : f.key;
    switch (f.content.type()) {
      case value::kind::boolean: return try_boolean(p, limits, tag, key, f.content.integer() != 0);
      case value::kind::integer: return try_integer(p, limits, tag, key, f.content.integer());
      case value::kind::floating: return try_floating(p, limits, tag, key, f.content.floating());
      case value::kind::text: return try_text(p, limits, tag, key, f.content.text());
      default: return nullptr;
    }
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_boolean(wire::byte* p, const attribute_limits& limits,
                                                              wire::byte tag, field_key key, bool v) noexcept {
    return take_all(limits, key) ? put_boolean(p, tag, key, v) : nullptr;
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_integer(wire::byte* p, const attribute_limits& limits,
                                                              wire::byte tag, field_key key, std::int64_t v) noexcept {
    return take_all(limits, key) ? put_integer(p, tag, key, v) : nullptr;
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_floating(wire::byte* p, const attribute_limits& limits,
                                                               wire::byte tag, field_key key, double v) noexcept {
    return take_all(limits, key) ? put_floating(p, tag, key, v) : nullptr;
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_text(wire::byte* p, const attribute_limits& limits,
                                                           wire::byte tag, field_key key, std::string_view v) noexcept {
    if (!is_short(limits, v) || !take_all(limits, key)) [[unlikely]]
      return nullptr;
    p = put_text_start(p, tag, key, v.size());
    if (wire::put_ascii(p, v.data(), v.size())) [[likely]]
      return p + v.size();
    take_back(key);
    return nullptr;
  }

  // For fields that are written out at one place. What the compiler knows of them, their keys mostly and the kinds of
  // their values, becomes constants there.

  /// Takes all of these keys, if each is usual (new, of ASCII and not long), they differ, and there may be so many. The
  /// values follow with put_known(); a key whose value cannot be put is to be taken back.
  template <class... Keys>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool take_all(const attribute_limits& limits, const Keys&... keys) noexcept {
    constexpr std::uint32_t more = sizeof...(keys);
    std::uint64_t bits = 0;
    const auto add = [&bits](field_key key) OTLPKIT_ALWAYS_INLINE_LAMBDA {
      const bool fresh = (bits & key.bit()) == 0;
      bits |= key.bit();
      return fresh && key.ascii() && key.size() <= longest_key;
    };
    const bool usual = (add(keys) && ...);
    if (!usual || (seen_ & bits) != 0 || count_ + more > limits.count) [[unlikely]]
      return false;
    seen_ |= bits;
    count_ += more;
    return true;
  }
  template <class... Keys>
  void take_back(const Keys&... keys) noexcept {
    seen_ &= ~(keys.bit() | ...);
    count_ -= static_cast<std::uint32_t>(sizeof...(keys));
  }
  /// A field whose key was taken. nullptr: it is of a kind that is rare, or not short.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE static wire::byte* put_known(wire::byte* p, const attribute_limits& limits,
                                                                   wire::byte tag, const field& f) noexcept {
    switch (f.content.type()) {
      case value::kind::boolean: return put_boolean(p, tag, f.key, f.content.integer() != 0);
      case value::kind::integer: return put_integer(p, tag, f.key, f.content.integer());
      case value::kind::floating: return put_floating(p, tag, f.key, f.content.floating());
      case value::kind::text: break;
      default: return nullptr;
    }
    const std::string_view v = f.content.text();
    if (!is_short(limits, v)) [[unlikely]]
      return nullptr;
    return put_ascii_text(put_text_start(p, tag, f.key, v.size()), v.data(), v.size());
  }

  /// Everything else: the key may be there already, the record is full, key or value is long or must be looked at, or
  /// memory is needed.
  OTLPKIT_NOINLINE void put_any(record_buffer& out, std::size_t from, const attribute_limits& limits, wire::byte tag,
                                const field& f) noexcept {
    if (f.key.size() == 0) {
      ++dropped_;
      return;
    }
    const bool valid = f.key.ascii() || utf8::is_valid(f.key.text());
    if (!valid) return put_repaired(out, from, limits, tag, f);
    if (maybe_has(f.key) && erase(out, from, tag, f.key.text())) --count_;
    if (count_ >= limits.count) {
      ++dropped_;
      return;
    }
    const value& v = f.content;
    const bool sized = v.type() == value::kind::text && v.size() <= limits.value_length && utf8::is_valid(v.text());
    if (sized ? put_sized(out, tag, f.key, v.text()) : put_encoded(out, limits, tag, f)) {
      count(f.key);
    } else {
      ++dropped_;
    }
  }

 private:
  /// The end, or nullptr if it is not ASCII.
  [[nodiscard]] OTLPKIT_NOINLINE static wire::byte* put_ascii_text(wire::byte* p, const char* data,
                                                                   std::size_t size) noexcept {
    return wire::put_ascii(p, data, size) ? p + size : nullptr;
  }

  /// A message of one attribute that is shorter than 128 bytes has lengths of one byte each.
  static constexpr std::size_t longest_key = 32;
  static constexpr std::size_t longest_text = 127 - longest_key - 6;

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE static bool is_short(const attribute_limits& limits,
                                                           std::string_view v) noexcept {
    return v.size() <= longest_text && v.size() <= limits.value_length;
  }
  OTLPKIT_ALWAYS_INLINE void count(field_key key) noexcept {
    seen_ |= key.bit();
    ++count_;
  }

  // The parts of a KeyValue, whose value is an AnyValue of `size` bytes: tags and lengths, and the key between them.
  OTLPKIT_ALWAYS_INLINE static wire::byte* put_key(wire::byte* p, field_key key) noexcept {
    return wire::put_short_bytes(p + 4, key.data(), key.size());
  }
  OTLPKIT_ALWAYS_INLINE static void put_head(wire::byte* p, wire::byte tag, field_key key, std::size_t size) noexcept {
    const auto key_size = static_cast<std::uint32_t>(key.size());
    wire::put_fixed(p, tag | (key_size + static_cast<std::uint32_t>(size) + 4) << 8 | 0x0A0000u | key_size << 24);
  }

  OTLPKIT_ALWAYS_INLINE static wire::byte* put_boolean(wire::byte* p, wire::byte tag, field_key key, bool v) noexcept {
    put_head(p, tag, key, 2);
    return wire::put_fixed(put_key(p, key), 0x100212u | static_cast<std::uint32_t>(v) << 24);
  }
  OTLPKIT_ALWAYS_INLINE static wire::byte* put_integer(wire::byte* p, wire::byte tag, field_key key,
                                                       std::int64_t v) noexcept {
    if (static_cast<std::uint64_t>(v) >= 0x80) return put_long_integer(p, tag, key.again(), v);
    put_head(p, tag, key, 2);
    return wire::put_fixed(put_key(p, key), 0x180212u | static_cast<std::uint32_t>(v) << 24);
  }
  /// Of more than one byte.
  OTLPKIT_NOINLINE static wire::byte* put_long_integer(wire::byte* p, wire::byte tag, field_key key,
                                                       std::int64_t v) noexcept {
    wire::byte* const content = put_key(p, key);
    wire::byte* const end = wire::put_varint(content + 3, static_cast<std::uint64_t>(v));
    const auto size = static_cast<std::size_t>(end - content) - 2;  // known by now, without counting bits
    wire::put_fixed(content, static_cast<std::uint16_t>(0x12u | size << 8));
    content[2] = 0x18;
    put_head(p, tag, key, size);
    return end;
  }
  OTLPKIT_ALWAYS_INLINE static wire::byte* put_floating(wire::byte* p, wire::byte tag, field_key key,
                                                        double v) noexcept {
    put_head(p, tag, key, 9);
    wire::byte* const content = put_key(p, key);
    wire::put_fixed(content, std::uint32_t{0x210912u});
    return wire::put_fixed(content + 3, std::bit_cast<std::uint64_t>(v));
  }
  /// All but the text itself.
  OTLPKIT_ALWAYS_INLINE static wire::byte* put_text_start(wire::byte* p, wire::byte tag, field_key key,
                                                          std::size_t size) noexcept {
    put_head(p, tag, key, 2 + size);
    const auto length = static_cast<std::uint32_t>(size);
    return wire::put_fixed(put_key(p, key), 0x0A0012u | (length + 2) << 8 | length << 24);
  }

  /// Valid text of any size: its lengths are known beforehand.
  [[nodiscard]] static bool put_sized(record_buffer& out, wire::byte tag, field_key key, std::string_view v) noexcept {
    const std::size_t size = wire::field_size(v.size());
    if (!out.room(size + key.size() + 4 * wire::max_varint)) return false;
    wire::byte* p = out.at();
    *p++ = tag;
    p = wire::put_varint(p, wire::field_size(key.size()) + wire::field_size(size));
    p = wire::put_field(p, 0x0A, key.data(), key.size());
    *p++ = 0x12;
    p = wire::put_varint(p, size);
    out.advance_to(wire::put_field(p, 0x0A, v.data(), v.size()));
    return true;
  }

  /// Any value, its lengths filled in afterwards.
  [[nodiscard]] static bool put_encoded(record_buffer& out, const attribute_limits& limits, wire::byte tag,
                                        const field& f) noexcept {
    const std::size_t before = out.size();
    value_writer writer{out, limits};
    std::size_t pair = 0;
    std::size_t content = 0;
    bool ok = out.open(tag, pair);
    if (ok) {
      writer.text_field(0x0A, f.key.text());
      ok = writer.ok() && out.open(0x12, content);
    }
    if (ok) {
      writer.put(f.content);
      ok = writer.ok() && out.close(content) && out.close(pair);
    }
    if (!ok) out.shrink_to(before);
    return ok;
  }

  /// Under the key as it will be read, so that two keys that differ in their invalid bytes alone are one.
  OTLPKIT_COLD void put_repaired(record_buffer& out, std::size_t from, const attribute_limits& limits, wire::byte tag,
                                 const field& f) noexcept {
    record_buffer key;
    if (!key.room(3 * f.key.size())) {
      ++dropped_;
      return;
    }
    key.advance_to(reinterpret_cast<wire::byte*>(utf8::sanitize(f.key.text(), reinterpret_cast<char*>(key.at()))));
    put_any(out, from, limits, tag, field{key.view(), f.content});
  }

  /// Where an attribute of a record lies.
  struct extent {
    std::size_t at = 0;
    std::size_t size = 0;  ///< 0: there is none
  };
  [[nodiscard]] static extent find(const record_buffer& out, std::size_t from, wire::byte tag,
                                   std::string_view key) noexcept {
    wire::reader message{out.view().substr(from)};
    std::size_t at = from;
    while (message.next()) {
      const std::size_t next = out.size() - message.rest().size();
      if (message.number() == tag >> 3) {
        wire::reader pair{message.bytes()};
        if (pair.next() && pair.number() == 1 && pair.bytes() == key) return {at, next - at};
      }
      at = next;
    }
    return {};
  }
  [[nodiscard]] static bool erase(record_buffer& out, std::size_t from, wire::byte tag, std::string_view key) noexcept {
    const extent found = find(out, from, tag, key);
    if (found.size != 0) out.erase(found.at, found.size);
    return found.size != 0;
  }

  std::uint64_t seen_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t dropped_ = 0;
};

/// An attribute_set that knows its tag.
class attribute_writer : public attribute_set {
 public:
  constexpr explicit attribute_writer(wire::byte tag) noexcept : tag_{tag} {}

  void put(record_buffer& out, std::size_t from, const attribute_limits& limits, const field& f) noexcept {
    attribute_set::put(out, from, limits, tag_, f);
  }

 private:
  wire::byte tag_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
