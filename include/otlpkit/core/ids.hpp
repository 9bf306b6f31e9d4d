// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/id_types.hpp>
#include <otlpkit/core/platform.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace otlpkit::inline OTLPKIT_ABI {

/// Makes the ids of new traces and spans in place of the built-in random generator. Called from any thread, several at
/// once, and must neither throw nor block. An id of zero is replaced by a random one.
class id_generator {
 public:
  virtual ~id_generator() = default;
  [[nodiscard]] virtual trace_id new_trace_id() noexcept = 0;
  [[nodiscard]] virtual span_id new_span_id() noexcept = 0;
  /// Whether the low 56 bits of new_trace_id() are uniformly random (W3C Trace Context Level 2, random flag).
  [[nodiscard]] virtual bool is_random() const noexcept { return false; }
};

/// xoroshiro128++ (Blackman and Vigna 2019): one per thread, seeded from the system's entropy. Of the generators
/// without known faults it has the least state to load and store.
struct random_generator {
  std::uint64_t state[2];

  void seed() noexcept {
    platform::fill_random(state, 2);
    state[0] |= static_cast<std::uint64_t>((state[0] | state[1]) == 0);  // all zero is its one fixed point
  }

  /// Never zero, so that it can be an id.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t next() noexcept {
    const std::uint64_t first = state[0];
    const std::uint64_t mixed = first ^ state[1];
    const std::uint64_t result = std::rotl(first + state[1], 17) + first;
    state[0] = std::rotl(first, 49) ^ mixed ^ mixed << 21;
    state[1] = std::rotl(mixed, 28);
    return result | static_cast<std::uint64_t>(result == 0);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI
