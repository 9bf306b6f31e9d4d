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

/// Copies up to 32 bytes with a few overlapping moves instead of a call; longer ones by memcpy. Never reads outside.
OTLPKIT_ALWAYS_INLINE byte* put_bytes(byte* p, const char* data, std::size_t size) noexcept {
  const auto move = [p, data, size]<std::size_t width>(std::integral_constant<std::size_t, width>) noexcept {
    byte head[width], tail[width];
    std::memcpy(head, data, width);
    std::memcpy(tail, data + size - width, width);
    std::memcpy(p, head, width);
    std::memcpy(p + size - width, tail, width);
  };
  if (size > 32) {
    std::memcpy(p, data, size);
  } else if (size >= 16) {
    move(std::integral_constant<std::size_t, 16>{});
  } else if (size >= 8) {
    move(std::integral_constant<std::size_t, 8>{});
  } else if (size >= 4) {
    move(std::integral_constant<std::size_t, 4>{});
  } else if (size > 0) {
    p[0] = static_cast<byte>(data[0]);
    p[size / 2] = static_cast<byte>(data[size / 2]);
    p[size - 1] = static_cast<byte>(data[size - 1]);
  }
  return p + size;
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
