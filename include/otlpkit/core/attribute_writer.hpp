// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attributes.hpp>
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

  /// False once the record had no room: the caller takes back the whole attribute.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

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
  void array(const Range& range) noexcept {
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
  void map(const Map& entries) noexcept {
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
  void nested(wire::byte tag, Body body) noexcept {
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
  if constexpr (customised<T>) {
    const auto& recorded = attribute_value(v);
    writer.put(value{recorded});
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
}

}  // namespace detail

/// The attributes of one record under construction. Keeps keys unique (the last value wins) and within the limits, and
/// counts what it drops. Not thread-safe.
class attribute_writer {
 public:
  /// \param tag the repeated KeyValue field of the message: Span.attributes, Event.attributes, ...
  constexpr explicit attribute_writer(wire::byte tag) noexcept : tag_{tag} {}

  [[nodiscard]] std::uint32_t dropped() const noexcept { return dropped_; }

  /// Whether `key` may have been put already; if not so, it was not.
  [[nodiscard]] bool maybe_has(const field_key& key) const noexcept { return (seen_ & key.bit()) != 0; }

  /// Puts attributes into `out`, whose attributes of this record start at or after offset `from`.
  OTLPKIT_ALWAYS_INLINE void put(record_buffer& out, std::size_t from, const attribute_limits& limits,
                                 const field& f) noexcept {
    const field_key& key = f.key;
    if ((seen_ & key.bit()) != 0 || count_ >= limits.count || !key.ascii()) [[unlikely]] {
      return put_checked(out, from, limits, f);
    }
    put_new(out, limits, f);
  }

 private:
  OTLPKIT_ALWAYS_INLINE void put_new(record_buffer& out, const attribute_limits& limits, const field& f) noexcept {
    switch (f.content.type()) {
      case value::kind::boolean: return put_boolean(out, f.key, f.content.integer());
      case value::kind::integer: return put_integer(out, f.key, f.content.integer());
      case value::kind::text: return put_text(out, limits, f.key, f.content.text());
      default: return put_any(out, limits, f.key, f.content);
    }
  }

  /// Tag, length and key of a KeyValue, and the tag and length of its AnyValue of `size` bytes.
  OTLPKIT_ALWAYS_INLINE wire::byte* put_head(wire::byte* p, const field_key& key, std::size_t size) noexcept {
    *p++ = tag_;
    p = wire::put_varint(p, wire::field_size(key.size()) + wire::field_size(size));
    p = wire::put_field(p, 0x0A, key.data(), key.size());
    *p++ = 0x12;
    return wire::put_varint(p, size);
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool begin(record_buffer& out, const field_key& key, std::size_t size) noexcept {
    if (!out.room(size + key.size() + 4 * wire::max_varint)) [[unlikely]] {
      ++dropped_;
      return false;
    }
    seen_ |= key.bit();
    ++count_;
    return true;
  }

  OTLPKIT_NOINLINE void put_boolean(record_buffer& out, const field_key& key, std::int64_t v) noexcept {
    if (!begin(out, key, 2)) return;
    wire::byte* p = put_head(out.at(), key, 2);
    p[0] = 0x10;
    p[1] = static_cast<wire::byte>(v);
    out.advance_to(p + 2);
  }
  OTLPKIT_NOINLINE void put_integer(record_buffer& out, const field_key& key, std::int64_t v) noexcept {
    if (!begin(out, key, 1 + wire::max_varint)) return;
    wire::byte* p = put_head(out.at(), key, 1 + wire::varint_size(static_cast<std::uint64_t>(v)));
    *p++ = 0x18;
    out.advance_to(wire::put_varint(p, static_cast<std::uint64_t>(v)));
  }
  OTLPKIT_NOINLINE void put_text(record_buffer& out, const attribute_limits& limits, const field_key& key,
                                 std::string_view v) noexcept {
    if (v.size() > limits.value_length || !utf8::is_valid(v)) [[unlikely]]
      return put_any(out, limits, key, value{v});
    if (!begin(out, key, v.size() + 1 + wire::max_varint)) return;
    wire::byte* const p = put_head(out.at(), key, wire::field_size(v.size()));
    out.advance_to(wire::put_field(p, 0x0A, v.data(), v.size()));
  }
  OTLPKIT_NOINLINE void put_any(record_buffer& out, const attribute_limits& limits, const field_key& key,
                                const value& v) noexcept {
    const std::size_t before = out.size();
    value_writer writer{out, limits};
    std::size_t pair = 0;
    std::size_t content = 0;
    if (out.open(tag_, pair)) {
      writer.text_field(0x0A, key.text());
      if (writer.ok() && out.open(0x12, content)) {
        writer.put(v);
        if (writer.ok() && out.close(content) && out.close(pair)) {
          seen_ |= key.bit();
          ++count_;
          return;
        }
      }
    }
    out.shrink_to(before);
    ++dropped_;
  }

  /// The ways off the fast path: the key may be there already, the record is full, or the key must be looked at.
  OTLPKIT_COLD void put_checked(record_buffer& out, std::size_t from, const attribute_limits& limits,
                                const field& f) noexcept {
    if (f.key.size() == 0) {
      ++dropped_;
      return;
    }
    if (!f.key.ascii() && !utf8::is_valid(f.key.text())) return put_repaired(out, from, limits, f);
    if ((seen_ & f.key.bit()) != 0 && erase(out, from, f.key.text())) --count_;
    if (count_ >= limits.count) {
      ++dropped_;
      return;
    }
    put_new(out, limits, f);
  }

  /// Under the key as it will be read, so that two keys that differ in their invalid bytes alone are one.
  OTLPKIT_COLD void put_repaired(record_buffer& out, std::size_t from, const attribute_limits& limits,
                                 const field& f) noexcept {
    record_buffer key;
    if (!key.room(3 * f.key.size())) {
      ++dropped_;
      return;
    }
    key.advance_to(reinterpret_cast<wire::byte*>(utf8::sanitize(f.key.text(), reinterpret_cast<char*>(key.at()))));
    put_checked(out, from, limits, field{key.view(), f.content});
  }

  [[nodiscard]] bool erase(record_buffer& out, std::size_t from, std::string_view key) const noexcept {
    wire::reader message{out.view().substr(from)};
    std::size_t at = from;
    while (message.next()) {
      const std::size_t next = out.size() - message.rest().size();
      if (message.number() == tag_ >> 3) {
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
  wire::byte tag_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
