// SPDX-License-Identifier: MIT
#pragma once

#include "support/sanitized.hpp"

#include <cstdlib>
#include <new>

/// For one file of a program: counts what its threads allocate, and lets allocations fail. Under a sanitizer, which has
/// an operator new of its own, the count stays zero and none fails: such a build looks for other faults.
namespace support {
inline thread_local long allocations = 0;
/// So many allocations of this thread succeed, the next one fails, and all after it succeed again. -1: all succeed.
inline thread_local int allocations_before_failure = -1;
inline bool allocation_fails() noexcept {
  ++allocations;
  return allocations_before_failure >= 0 && allocations_before_failure-- == 0;
}
}  // namespace support

#if !OTLPKIT_TEST_SANITIZED
// Not inlined: where g++ 12 sees through one of a pair it takes the other for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (support::allocation_fails()) throw std::bad_alloc{};
  if (void* const p = std::malloc(size != 0 ? size : 1)) return p;
  throw std::bad_alloc{};
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return support::allocation_fails() ? nullptr : std::malloc(size != 0 ? size : 1);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif
