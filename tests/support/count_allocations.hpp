// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <new>

/// For one file of a program: counts what its threads allocate. Under a sanitizer, which has an operator new of its
/// own, the count stays zero: such a build looks for other faults.
namespace support {
inline thread_local long allocations = 0;
}

#if defined(__has_feature)
#define OTLPKIT_TEST_HAS_FEATURE(x) __has_feature(x)
#else
#define OTLPKIT_TEST_HAS_FEATURE(x) 0
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !OTLPKIT_TEST_HAS_FEATURE(address_sanitizer) && \
    !OTLPKIT_TEST_HAS_FEATURE(thread_sanitizer)
// Not inlined: where g++ 12 sees through one of a pair it takes the other for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++support::allocations;
  if (void* const p = std::malloc(size != 0 ? size : 1)) return p;
  throw std::bad_alloc{};
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++support::allocations;
  return std::malloc(size != 0 ? size : 1);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif
