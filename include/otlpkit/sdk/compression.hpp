// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// How request bodies are compressed.
enum class compression : std::uint8_t { none, gzip };

}  // namespace otlpkit::inline OTLPKIT_ABI
