// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attributes.hpp>
#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/record_buffer.hpp>
#include <otlpkit/core/utf8.hpp>

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

}  // namespace otlpkit::inline OTLPKIT_ABI
