// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/compiler.hpp>

#include <cstdint>
#include <cstring>

namespace otlpkit::inline OTLPKIT_ABI::platform {

/// (a * b) >> 32 with all bits in between.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr std::int64_t multiply_shift_32(std::int64_t a, std::int64_t b) noexcept {
#if defined(__SIZEOF_INT128__)
  __extension__ using wide = __int128;
  return static_cast<std::int64_t>(static_cast<wide>(a) * b >> 32);
#else
  const bool negative = (a < 0) != (b < 0);
  const auto x = static_cast<std::uint64_t>(a < 0 ? -a : a), y = static_cast<std::uint64_t>(b < 0 ? -b : b);
  const std::uint64_t low = ((x & 0xFFFFFFFFu) * (y & 0xFFFFFFFFu)) >> 32;
  const std::uint64_t rest = (x >> 32) * y + (x & 0xFFFFFFFFu) * (y >> 32) + low;
  return negative ? -static_cast<std::int64_t>(rest) : static_cast<std::int64_t>(rest);
#endif
}

/// 16 bytes of memory, in two words.
struct two_words {
  std::uint64_t first, second;
};

/// 8 bytes as 16 lowercase hexadecimal digits.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE two_words hex_digits(const void* from) noexcept {
#if defined(__GNUC__)
  using lanes [[gnu::vector_size(16)]] = signed char;
  using bytes [[gnu::vector_size(16)]] = unsigned char;
  using words [[gnu::vector_size(16)]] = std::uint64_t;
  std::uint64_t word = 0;
  std::memcpy(&word, from, 8);
  const auto x = reinterpret_cast<bytes>(words{word, 0});
  const auto n = reinterpret_cast<lanes>(
      __builtin_shufflevector(x >> 4, x & 15, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  const auto digits = reinterpret_cast<words>(n + '0' + ((n > 9) & ('a' - '9' - 1)));
  return {digits[0], digits[1]};
#else
  const auto* in = static_cast<const unsigned char*>(from);
  char text[16];
  for (int i = 0; i < 8; ++i) {
    text[2 * i] = "0123456789abcdef"[in[i] >> 4];
    text[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
  }
  two_words out{};
  std::memcpy(&out, text, sizeof out);
  return out;
#endif
}

/// Writes 16 bytes in one store, where there is one: a copy soon after then need not wait for two.
OTLPKIT_ALWAYS_INLINE void put_two_words(two_words w, char* out) noexcept {
#if defined(__GNUC__)
  using words [[gnu::vector_size(16)]] = std::uint64_t;
  const words both{w.first, w.second};
  std::memcpy(out, &both, sizeof both);
#else
  std::memcpy(out, &w, sizeof w);
#endif
}

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
