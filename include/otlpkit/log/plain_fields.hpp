// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

/// Attributes of a record whose fields are all known at once, written to where they stay: no buffer, no copy.
///
/// That is for what nearly every call has: few keys, all different, with values that are numbers or short ASCII. What
/// needs a second look (a key that may be there twice, other text, a limit that is reached, nested values, more than
/// 127 bytes) is not plain and goes through attribute_writer, which knows it all; both write the same bytes.
namespace otlpkit::inline OTLPKIT_ABI::detail::plain_fields {

/// Whether there is no byte above 0x7F, in overlapping words and without a loop over single bytes.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool is_ascii(std::string_view text) noexcept {
  const char* const p = text.data();
  const std::size_t n = text.size();
  constexpr std::uint64_t high = 0x8080'8080'8080'8080u;
  const auto load = [](const char* from) OTLPKIT_ALWAYS_INLINE_LAMBDA {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
  };
  if (n >= 8) {
    std::uint64_t all = load(p + n - 8);
    for (std::size_t i = 0; i + 8 < n; i += 8) all |= load(p + i);
    return (all & high) == 0;
  }
  if (n >= 4) {
    std::uint32_t head = 0, tail = 0;
    std::memcpy(&head, p, sizeof head);
    std::memcpy(&tail, p + n - 4, sizeof tail);
    return ((head | tail) & static_cast<std::uint32_t>(high)) == 0;
  }
  return n == 0 || ((p[0] | p[n / 2] | p[n - 1]) & 0x80) == 0;
}

/// No plain attribute takes more.
inline constexpr std::size_t most = 127 + 2;

/// Bytes they take, but for the width of integers.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::size_t guess(fields all) noexcept {
  std::size_t sum = 0;
  for (const field& f : all) sum += 10 + f.key.size() + (f.content.type() == value::kind::text ? f.content.size() : 0);
  return sum;
}

/// Writes the attributes at `p`, which has room for `most` each. Returns their end, or nullptr: not all are plain.
/// \param tag the repeated KeyValue field of the message
[[nodiscard]] OTLPKIT_ALWAYS_INLINE wire::byte* write(wire::byte* p, wire::byte tag, fields all,
                                                      const attribute_limits& limits) noexcept {
  constexpr std::size_t around = 19;  // what a KeyValue takes beyond its key and text, at most
  std::uint64_t seen = 0;
  for (const field& f : all) {
    const value& v = f.content;
    const std::size_t key = f.key.size();
    const std::size_t text = v.type() == value::kind::text ? v.size() : 0;
    if ((seen & f.key.bit()) != 0 || !f.key.ascii() || key + text > most - around) [[unlikely]]
      return nullptr;
    seen |= f.key.bit();
    wire::byte* const start = p;
    p[0] = tag;
    p[2] = 0x0A;
    p[3] = static_cast<wire::byte>(key);
    p = wire::put_bytes(p + 4, f.key.data(), key);
    wire::byte* const content = p;
    p[0] = 0x12;
    p += 2;
    switch (v.type()) {
      case value::kind::empty: break;
      case value::kind::boolean:
        p[0] = 0x10;
        p[1] = static_cast<wire::byte>(v.integer());
        p += 2;
        break;
      case value::kind::integer:
        *p = 0x18;
        p = wire::put_varint(p + 1, static_cast<std::uint64_t>(v.integer()));
        break;
      case value::kind::floating:
        *p = 0x21;
        p = wire::put_fixed(p + 1, std::bit_cast<std::uint64_t>(v.floating()));
        break;
      case value::kind::text:
        if (text > limits.value_length || !is_ascii(v.text())) [[unlikely]]
          return nullptr;
        p[0] = 0x0A;
        p[1] = static_cast<wire::byte>(text);
        p = wire::put_bytes(p + 2, v.text().data(), text);
        break;
      default: return nullptr;
    }
    content[1] = static_cast<wire::byte>(p - content - 2);
    start[1] = static_cast<wire::byte>(p - start - 2);
  }
  return p;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail::plain_fields
