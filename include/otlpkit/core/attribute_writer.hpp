// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attributes.hpp>
#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/record_buffer.hpp>
#include <otlpkit/core/utf8.hpp>
#include <otlpkit/core/wire_reader.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// What attributes of spans, events, links and log records may take (OpenTelemetry specification, common, attribute
/// limits).
struct attribute_limits {
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  std::uint32_t count = 128;          ///< attributes of one record; a new key beyond it is dropped and counted
  std::uint32_t value_length = none;  ///< code points of a text, bytes of a byte array; longer ones are cut
  std::uint32_t depth = 64;           ///< nesting of arrays and maps; what lies deeper becomes an empty value
};

/// Writes one AnyValue into a record: what attribute values, nested ones included, are encoded through.
class value_writer {
 public:
  value_writer(record_buffer& out, const attribute_limits& limits) noexcept : out_{out}, limits_{limits} {}

  /// False once the record had no room, or the value could not be had: the caller takes back the whole attribute.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

  /// The value could not be had: code of the user's threw.
  OTLPKIT_COLD void refuse() noexcept {
    ok_ = false;
    static constinit platform::atomic<bool> said{false};
    if (!said.exchange(true, platform::relaxed))
      report(diagnostic_level::warning,
             "an attribute is dropped and counted as dropped: converting its value (attribute_value, to_string or "
             "iterating over it) threw an exception; this is said once");
  }

  void put(const value& v) noexcept {
    switch (v.type()) {
      case value::kind::empty: return;
      case value::kind::boolean: return boolean(v.integer() != 0);
      case value::kind::integer: return integer(v.integer());
      case value::kind::big_integer: return big_integer(static_cast<std::uint64_t>(v.integer()));
      case value::kind::floating: return floating(v.floating());
      case value::kind::text: return text(v.text());
      case value::kind::bytes: return bytes(v.text());
      case value::kind::object: return v.encode(*this);
    }
  }

  void boolean(bool v) noexcept {
    if (wire::byte* p = room(2)) out_.advance_to(wire::put_varint(tagged(p, 0x10), static_cast<std::uint64_t>(v)));
  }
  void integer(std::int64_t v) noexcept {
    if (wire::byte* p = room(1 + wire::max_varint))
      out_.advance_to(wire::put_varint(tagged(p, 0x18), static_cast<std::uint64_t>(v)));
  }
  void floating(double v) noexcept {
    if (wire::byte* p = room(9)) out_.advance_to(wire::put_fixed(tagged(p, 0x21), std::bit_cast<std::uint64_t>(v)));
  }
  /// Text that is not UTF-8 goes as bytes, as OTLP asks: a strict receiver would refuse the whole request otherwise.
  void text(std::string_view v) noexcept {
    if (v.size() > limits_.value_length) v = utf8::truncate(v, limits_.value_length);
    content(utf8::is_valid(v) ? 0x0A : 0x3A, v);
  }
  void bytes(std::string_view v) noexcept { content(0x3A, v.substr(0, limits_.value_length)); }
  void big_integer(std::uint64_t v) noexcept {
    char digits[20];
    std::size_t at = sizeof digits;
    for (; v != 0; v /= 10) digits[--at] = static_cast<char>('0' + v % 10);
    content(0x0A, {digits + at, sizeof digits - at});
  }

  template <class Range>
  void array(const Range& range) {
    nested(0x2A, [&] {
      for (const auto& element : range) {
        std::size_t mark = 0;
        if (!ok_ || !(ok_ = out_.open(0x0A, mark))) return;
        put(value{element});
        ok_ = ok_ && out_.close(mark);
      }
    });
  }

  template <class Map>
  void map(const Map& entries) {
    nested(0x32, [&] {
      for (const auto& [key, content] : entries) {
        std::size_t entry = 0;
        std::size_t mark = 0;
        if (!ok_ || !(ok_ = out_.open(0x0A, entry))) return;
        text_field(0x0A, std::string_view{key});
        if (!ok_ || !(ok_ = out_.open(0x12, mark))) return;
        put(value{content});
        ok_ = ok_ && out_.close(mark) && out_.close(entry);
      }
    });
  }

  /// A protobuf string field: invalid sequences become U+FFFD.
  void text_field(wire::byte tag, std::string_view v) noexcept {
    if (utf8::is_valid(v)) return content(tag, v);
    std::size_t mark = 0;
    if (!(ok_ = ok_ && out_.open(tag, mark) && out_.room(3 * v.size()))) return;
    out_.advance_to(reinterpret_cast<wire::byte*>(utf8::sanitize(v, reinterpret_cast<char*>(out_.at()))));
    ok_ = out_.close(mark);
  }

 private:
  template <class Body>
  void nested(wire::byte tag, Body body) {
    if (depth_ >= limits_.depth) return;  // nothing written: an empty value
    ++depth_;
    std::size_t mark = 0;
    if ((ok_ = ok_ && out_.open(tag, mark))) {
      body();
      ok_ = ok_ && out_.close(mark);
    }
    --depth_;
  }
  void content(wire::byte tag, std::string_view v) noexcept {
    if (wire::byte* p = room(1 + wire::max_varint + v.size()))
      out_.advance_to(wire::put_field(p, tag, v.data(), v.size()));
  }
  static wire::byte* tagged(wire::byte* p, wire::byte tag) noexcept {
    *p = tag;
    return p + 1;
  }
  wire::byte* room(std::size_t size) noexcept {
    ok_ = ok_ && out_.room(size);
    return ok_ ? out_.at() : nullptr;
  }

  record_buffer& out_;
  const attribute_limits& limits_;
  std::uint32_t depth_ = 0;
  bool ok_ = true;
};

namespace detail {

template <class T>
void encode_object(value_writer& writer, const void* object) noexcept {
  const T& v = *static_cast<const T*>(object);
  try {
    if constexpr (customised<T>) {
      const auto& recorded = attribute_value(v);
      writer.put(value{recorded});
    } else if constexpr (named_enum<T>) {
      const auto& text = to_string(v);
      writer.text(std::string_view{text});
    } else if constexpr (text_like<T>) {
      writer.text(std::string_view{v});
    } else if constexpr (optional_like<T>) {
      if (v.has_value()) writer.put(value{*v});
    } else if constexpr (requires {
                           typename T::mapped_type;
                           requires text_like<typename T::key_type>;
                         }) {
      writer.map(v);
    } else {
      writer.array(v);
    }
  } catch (...) {  // the program goes on without the attribute
    writer.refuse();
  }
}

}  // namespace detail

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
    if (!take(limits, key, 2)) [[unlikely]]
      return nullptr;
    return put_short(p, tag, key, 2, 0x10u | static_cast<unsigned>(v) << 8) + 4;
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_integer(wire::byte* p, const attribute_limits& limits,
                                                              wire::byte tag, field_key key, std::int64_t v) noexcept {
    const std::size_t size = 1 + wire::varint_size(static_cast<std::uint64_t>(v));
    if (!take(limits, key, size)) [[unlikely]]
      return nullptr;
    return wire::put_varint(put_short(p, tag, key, size, 0x18) + 3, static_cast<std::uint64_t>(v));
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_floating(wire::byte* p, const attribute_limits& limits,
                                                               wire::byte tag, field_key key, double v) noexcept {
    if (!take(limits, key, 9)) [[unlikely]]
      return nullptr;
    return wire::put_fixed(put_short(p, tag, key, 9, 0x21) + 3, std::bit_cast<std::uint64_t>(v));
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_text(wire::byte* p, const attribute_limits& limits,
                                                           wire::byte tag, field_key key, std::string_view v) noexcept {
    if (v.size() > limits.value_length || !is_short(limits, key, 2 + v.size())) [[unlikely]]
      return nullptr;
    p = put_short(p, tag, key, 2 + v.size(), 0x0Au | static_cast<unsigned>(v.size()) << 8) + 4;
    if (!wire::put_ascii(p, v.data(), v.size())) [[unlikely]]
      return nullptr;
    count(key);
    return p + v.size();
  }

  /// For where a field is written out: what the compiler knows of it, its key mostly and the kind of its value, becomes
  /// constants there. Of kinds that are rare the answer is always nullptr.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* try_known(wire::byte* p, const attribute_limits& limits,
                                                            wire::byte tag, const field& f) noexcept {
    switch (f.content.type()) {
      case value::kind::boolean: return try_boolean(p, limits, tag, f.key, f.content.integer() != 0);
      case value::kind::integer: return try_integer(p, limits, tag, f.key, f.content.integer());
      case value::kind::floating: return try_floating(p, limits, tag, f.key, f.content.floating());
      case value::kind::text: break;
      default: return nullptr;
    }
    const std::string_view v = f.content.text();
    if (v.size() > limits.value_length || !is_short(limits, f.key, 2 + v.size())) [[unlikely]]
      return nullptr;
    p = put_short(p, tag, f.key, 2 + v.size(), 0x0Au | static_cast<unsigned>(v.size()) << 8) + 4;
    p = put_ascii_text(p, v.data(), v.size());
    if (p != nullptr) [[likely]]
      count(f.key);
    return p;
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

  /// A message of one attribute that is shorter than this has lengths of one byte each.
  static constexpr std::size_t short_message = 128;

  /// Whether the attribute is usual: its key new, of ASCII and not long, its message short.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool is_short(const attribute_limits& limits, field_key key,
                                                    std::size_t size) const noexcept {
    return key.ascii() && !maybe_has(key) && count_ < limits.count && key.size() <= 32 && size < short_message - 32 - 4;
  }
  OTLPKIT_ALWAYS_INLINE void count(field_key key) noexcept {
    seen_ |= key.bit();
    ++count_;
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool take(const attribute_limits& limits, field_key key,
                                                std::size_t size) noexcept {
    if (!is_short(limits, key, size)) [[unlikely]]
      return false;
    count(key);
    return true;
  }

  /// The KeyValue up to the content of an AnyValue of `size` bytes, of which `start` are the first two. Returns where
  /// that begins: tag and length, and then `start`.
  OTLPKIT_ALWAYS_INLINE static wire::byte* put_short(wire::byte* p, wire::byte tag, field_key key, std::size_t size,
                                                     unsigned start) noexcept {
    const auto key_size = static_cast<std::uint32_t>(key.size());
    const auto value_size = static_cast<std::uint32_t>(size);
    p = wire::put_fixed(p, tag | (key_size + value_size + 4) << 8 | 0x0A0000u | key_size << 24);
    p = wire::put_short_bytes(p, key.data(), key.size());
    wire::put_fixed(p, 0x12u | value_size << 8 | start << 16);
    return p;
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

  [[nodiscard]] static bool erase(record_buffer& out, std::size_t from, wire::byte tag, std::string_view key) noexcept {
    wire::reader message{out.view().substr(from)};
    std::size_t at = from;
    while (message.next()) {
      const std::size_t next = out.size() - message.rest().size();
      if (message.number() == tag >> 3) {
        wire::reader pair{message.bytes()};
        if (pair.next() && pair.number() == 1 && pair.bytes() == key) {
          out.erase(at, next - at);
          return true;
        }
      }
      at = next;
    }
    return false;
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
