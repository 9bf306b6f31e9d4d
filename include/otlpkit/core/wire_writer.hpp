// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

/// Protobuf encoding primitives (https://protobuf.dev/programming-guides/encoding): the bytes every OTLP message is
/// made of.
///
/// All functions write at `p`, where the caller has made room, and return the first byte after what they wrote.
namespace otlpkit::inline OTLPKIT_ABI::wire {

using byte = unsigned char;

/// The longest a varint can be.
inline constexpr std::size_t max_varint = 10;

/// Bytes a varint takes: one for each started group of seven bits.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr std::size_t varint_size(std::uint64_t v) noexcept {
  return (static_cast<std::size_t>(std::bit_width(v | 1)) * 9 + 64) / 64;
}

OTLPKIT_ALWAYS_INLINE byte* put_varint(byte* p, std::uint64_t v) noexcept {
  while (v >= 0x80) {
    *p++ = static_cast<byte>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<byte>(v);
  return p;
}

/// Stores a value of 2, 4 or 8 bytes in little-endian order.
template <class T>
OTLPKIT_ALWAYS_INLINE byte* put_fixed(byte* p, T v) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(p, &v, sizeof v);
  } else {
    const auto bits = std::bit_cast<std::conditional_t<sizeof v == 8, std::uint64_t, std::uint32_t>>(v);
    for (std::size_t i = 0; i < sizeof v; ++i) p[i] = static_cast<byte>(bits >> (8 * i));
  }
  return p + sizeof v;
}

/// Copies at most 32 bytes with a few overlapping moves. Never reads or writes outside.
OTLPKIT_ALWAYS_INLINE byte* put_short_bytes(byte* p, const char* data, std::size_t size) noexcept {
  const auto move = [p, data, size]<std::size_t width>(std::integral_constant<std::size_t, width>)
                        OTLPKIT_ALWAYS_INLINE_LAMBDA {
                          byte head[width], tail[width];
                          std::memcpy(head, data, width);
                          std::memcpy(tail, data + size - width, width);
                          std::memcpy(p, head, width);
                          std::memcpy(p + size - width, tail, width);
                        };
  if (size - 8 <= 8) {  // what most keys and names are
    move(std::integral_constant<std::size_t, 8>{});
  } else if (size >= 16) {
    move(std::integral_constant<std::size_t, 16>{});
  } else if (size >= 4) {
    move(std::integral_constant<std::size_t, 4>{});
  } else if (size > 0) {
    p[0] = static_cast<byte>(data[0]);
    p[size / 2] = static_cast<byte>(data[size / 2]);
    p[size - 1] = static_cast<byte>(data[size - 1]);
  }
  return p + size;
}

/// Copies a text and says whether it is ASCII: each byte is loaded once for both. Never reads or writes outside, and
/// calls nothing.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool put_ascii(byte* p, const char* data, std::size_t size) noexcept {
  constexpr std::uint64_t high = 0x8080'8080'8080'8080u;
  const auto move = [p, data]<class Word>(std::size_t at, Word) OTLPKIT_ALWAYS_INLINE_LAMBDA {
    Word word;
    std::memcpy(&word, data + at, sizeof word);
    std::memcpy(p + at, &word, sizeof word);
    return std::uint64_t{word};
  };
  if (size >= 8) {
    std::uint64_t seen = move(size - 8, std::uint64_t{}) | move(0, std::uint64_t{});
    for (std::size_t at = 8; at + 8 < size; at += 8) seen |= move(at, std::uint64_t{});
    return (seen & high) == 0;
  }
  if (size >= 4) return ((move(0, std::uint32_t{}) | move(size - 4, std::uint32_t{})) & high) == 0;
  if (size == 0) return true;
  return ((move(0, byte{}) | move(size / 2, byte{}) | move(size - 1, byte{})) & 0x80u) == 0;
}

/// Copies any number of bytes, few ones without a call.
OTLPKIT_ALWAYS_INLINE byte* put_bytes(byte* p, const char* data, std::size_t size) noexcept {
  if (size <= 32) [[likely]]
    return put_short_bytes(p, data, size);
  std::memcpy(p, data, size);
  return p + size;
}

/// What copy_blocks() may touch beyond `size`, on both sides.
inline constexpr std::size_t block_slack = 63;

/// Copies in whole blocks of 64 bytes: without a call or a branch per size, but up to block_slack bytes beyond `size`
/// are read and written.
OTLPKIT_ALWAYS_INLINE byte* copy_blocks(byte* p, const byte* data, std::size_t size) noexcept {
  byte* const end = p + size;
  do {
    byte a[16], b[16], c[16], d[16];  // registers: as one array g++ would keep it in memory
    std::memcpy(a, data, 16);
    std::memcpy(b, data + 16, 16);
    std::memcpy(c, data + 32, 16);
    std::memcpy(d, data + 48, 16);
    std::memcpy(p, a, 16);
    std::memcpy(p + 16, b, 16);
    std::memcpy(p + 32, c, 16);
    std::memcpy(p + 48, d, 16);
    p += 64;
    data += 64;
  } while (p < end);
  return end;
}

/// Tag, length and content of a string, bytes or message field.
OTLPKIT_ALWAYS_INLINE byte* put_field(byte* p, byte tag, const char* data, std::size_t size) noexcept {
  *p++ = tag;
  return put_bytes(put_varint(p, size), data, size);
}

/// Room put_field() needs.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr std::size_t field_size(std::size_t size) noexcept {
  return 1 + varint_size(size) + size;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::wire
