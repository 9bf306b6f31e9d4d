// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/clocks.hpp>

#include <cstddef>
#include <cstdint>

#if !OTLPKIT_POSIX
#include <random>
#endif
#if defined(__APPLE__)
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sys/random.h>
#endif

namespace otlpkit::inline OTLPKIT_ABI::platform {

/// Fills `words` from the system's entropy source; falls back to time and addresses, which is unique enough for ids.
inline void fill_random(std::uint64_t* words, std::size_t count) noexcept {
#if defined(__linux__)
  if (::getrandom(words, count * sizeof *words, GRND_NONBLOCK) == static_cast<ssize_t>(count * sizeof *words)) return;
#elif defined(__APPLE__)
  if (::getentropy(words, count * sizeof *words) == 0) return;
#elif !OTLPKIT_POSIX
  try {
    std::random_device device;
    for (std::size_t i = 0; i < count; ++i) words[i] = static_cast<std::uint64_t>(device()) << 32 | device();
    return;
  } catch (...) {
  }
#endif
  std::uint64_t mix = wall_ns() ^ steady_ns() << 20 ^ reinterpret_cast<std::uintptr_t>(words);
  for (std::size_t i = 0; i < count; ++i) {
    mix += 0x9E3779B97F4A7C15u;  // splitmix64 (Steele, Lea, Flood 2014)
    std::uint64_t z = mix;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    words[i] = z ^ z >> 31;
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
