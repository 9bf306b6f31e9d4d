// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace otlpkit::inline OTLPKIT_ABI {

/// 16 bytes that name a trace; all zero means none. Bytes are in the order of the W3C header and the OTLP field.
struct trace_id {
  std::uint64_t words[2] = {0, 0};  ///< the 16 bytes as memory, not a number

  [[nodiscard]] constexpr bool valid() const noexcept { return (words[0] | words[1]) != 0; }
  friend constexpr bool operator==(const trace_id&, const trace_id&) = default;
};

/// 8 bytes that name a span within its trace; all zero means none.
struct span_id {
  std::uint64_t word = 0;  ///< the 8 bytes as memory, not a number

  [[nodiscard]] constexpr bool valid() const noexcept { return word != 0; }
  friend constexpr bool operator==(const span_id&, const span_id&) = default;
};

/// Lowercase hex of an id, as W3C headers, logs and viewers show it. Not terminated by a zero.
template <class Id>
struct hex_id {
  char text[2 * sizeof(Id)];
};

template <class Id>
[[nodiscard]] inline hex_id<Id> to_hex(const Id& id) noexcept {
  unsigned char bytes[sizeof(Id)];
  std::memcpy(bytes, &id, sizeof id);
  hex_id<Id> out{};
  for (std::size_t i = 0; i < sizeof(Id); ++i) {
    out.text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
    out.text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
  }
  return out;
}

/// W3C trace flags.
inline constexpr std::uint8_t flag_sampled = 0x01;
inline constexpr std::uint8_t flag_random = 0x02;

}  // namespace otlpkit::inline OTLPKIT_ABI
