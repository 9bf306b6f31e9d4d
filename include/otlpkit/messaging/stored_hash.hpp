// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/key_hash.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::messaging::detail {

/// 16 bytes that stand for a text in a store; the same in every process.
[[nodiscard]] inline std::string stored_hash(std::string_view text) {
  constexpr resilience::key_hash seed{0x6f746c706b697420u, 0x6964656d706f7431u};
  const resilience::key_hash h = resilience::hash_key(text, seed);
  std::string out;
  for (const std::uint64_t word : {h.first, h.second}) {
    for (int shift = 0; shift < 64; shift += 8) out += static_cast<char>(word >> shift & 0xFF);
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging::detail
