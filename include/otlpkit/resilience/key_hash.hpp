// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// 16 bytes that stand for a key of any length.
struct key_hash {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  friend constexpr bool operator==(const key_hash&, const key_hash&) = default;
};

/// SipHash-2-4 with 128 bits of output (Aumasson, Bernstein 2012; the reference vectors are in the tests). Who does not
/// know `seed` cannot find two keys with the same hash; the same seed gives the same hash in every process.
[[nodiscard]] constexpr key_hash hash_key(std::string_view key, key_hash seed) noexcept {
  std::uint64_t a = 0x736f6d6570736575u ^ seed.first, b = 0x646f72616e646f6du ^ seed.second ^ 0xee;
  std::uint64_t c = 0x6c7967656e657261u ^ seed.first, d = 0x7465646279746573u ^ seed.second;
  const auto mix = [&](int rounds) {
    for (; rounds > 0; --rounds) {
      a += b, b = std::rotl(b, 13) ^ a, a = std::rotl(a, 32);
      c += d, d = std::rotl(d, 16) ^ c;
      a += d, d = std::rotl(d, 21) ^ a;
      c += b, b = std::rotl(b, 17) ^ c, c = std::rotl(c, 32);
    }
  };
  const auto word_at = [key](std::size_t at, std::size_t bytes) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      word |= static_cast<std::uint64_t>(static_cast<unsigned char>(key[at + i])) << (8 * i);
    }
    return word;
  };
  const auto take = [&](std::uint64_t word) {
    d ^= word;
    mix(2);
    a ^= word;
  };
  const std::size_t whole = key.size() / 8 * 8;
  for (std::size_t at = 0; at < whole; at += 8) take(word_at(at, 8));
  take(word_at(whole, key.size() - whole) | static_cast<std::uint64_t>(key.size()) << 56);
  key_hash out;
  c ^= 0xee;
  mix(4);
  out.first = a ^ b ^ c ^ d;
  b ^= 0xdd;
  mix(4);
  out.second = a ^ b ^ c ^ d;
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
