// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/compiler.hpp>

#include <cstddef>
#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI::platform {

/// Asks for the cache line `ahead` bytes after `p`, to write to it soon. A hint: there may be no memory at all. A core
/// that has it in time need not wait until another one gives the line up.
OTLPKIT_ALWAYS_INLINE void prefetch_for_write([[maybe_unused]] const void* p,
                                              [[maybe_unused]] std::size_t ahead) noexcept {
  [[maybe_unused]] const auto* const there = reinterpret_cast<const char*>(reinterpret_cast<std::uintptr_t>(p) + ahead);
#if defined(__GNUC__) && defined(__x86_64__)
  // The builtin would only ask to read, unless told that the CPU has this: those that have not pass over it.
  asm volatile("prefetchw %0" : : "m"(*there));
#elif defined(__GNUC__)
  __builtin_prefetch(there, 1);
#endif
}

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
