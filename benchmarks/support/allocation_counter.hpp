// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

/// How often memory was asked for. The program's malloc family and operator new are replaced by ones that count
/// (allocation_counter.cpp): nothing is assumed, also not of libraries.
namespace allocations {

/// By the calling thread, since it began.
[[nodiscard]] std::uint64_t of_this_thread() noexcept;

/// By all threads, of which there may have been this many so far. Only exact while the others are at rest.
inline constexpr std::size_t threads_seen = 64;
[[nodiscard]] std::uint64_t of_all_threads() noexcept;

/// Whether malloc, calloc, realloc, aligned allocation and operator new are all seen. To be asked once, before trusting
/// a zero.
[[nodiscard]] bool are_counted();

}  // namespace allocations
