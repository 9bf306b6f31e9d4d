// SPDX-License-Identifier: MIT
#include "allocation_counter.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#ifndef __GLIBC__
#error "counts by replacing glibc's malloc: another C library needs its own way to the original"
#endif

// What glibc calls the originals.
extern "C" {
void* __libc_malloc(std::size_t) noexcept;
void* __libc_calloc(std::size_t, std::size_t) noexcept;
void* __libc_realloc(void*, std::size_t) noexcept;
void* __libc_memalign(std::size_t, std::size_t) noexcept;
void __libc_free(void*) noexcept;
}

namespace {

/// Written by one thread, read by those that add up.
struct alignas(64) counter {
  std::atomic<std::uint64_t> count{0};
};

// Each thread has a line of its own: threads that shared one would measure how they fight for it.
constinit counter counters[allocations::threads_seen];
constinit std::atomic<std::size_t> threads{0};
constinit thread_local counter late_comer;
constinit thread_local counter* here = nullptr;

counter& own() noexcept {
  if (here == nullptr) [[unlikely]] {
    const std::size_t number = threads.fetch_add(1, std::memory_order_relaxed);
    here = number < allocations::threads_seen ? &counters[number] : &late_comer;
  }
  return *here;
}

void count() noexcept {
  std::atomic<std::uint64_t>& n = own().count;
  n.store(n.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void* allocate(std::size_t size) {
  count();
  if (void* const memory = __libc_malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc{};
}

void* allocate(std::size_t size, std::align_val_t alignment) {
  count();
  if (void* const memory = __libc_memalign(static_cast<std::size_t>(alignment), size)) return memory;
  throw std::bad_alloc{};
}

/// Keeps the compiler from eliding an allocation nobody uses.
void* seen(void* memory) noexcept {
  asm volatile("" : "+r"(memory) : : "memory");
  return memory;
}

}  // namespace

extern "C" {
void* malloc(std::size_t size) noexcept {
  count();
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) noexcept {
  count();
  return __libc_calloc(n, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  count();
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  count();
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) noexcept {
  count();
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
void free(void* memory) noexcept { __libc_free(memory); }
}

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void* operator new[](std::size_t size, std::align_val_t alignment) { return allocate(size, alignment); }
void operator delete(void* memory) noexcept { __libc_free(memory); }
void operator delete[](void* memory) noexcept { __libc_free(memory); }
void operator delete(void* memory, std::size_t) noexcept { __libc_free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { __libc_free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { __libc_free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { __libc_free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { __libc_free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { __libc_free(memory); }

namespace allocations {

std::uint64_t of_this_thread() noexcept { return own().count.load(std::memory_order_relaxed); }

std::uint64_t of_all_threads() noexcept {
  std::uint64_t sum = 0;
  for (const counter& c : counters) sum += c.count.load(std::memory_order_relaxed);
  return sum;
}

bool are_counted() {
  struct alignas(64) wide {
    char bytes[64];
  };
  const std::uint64_t before = of_this_thread();
  void* memory = seen(std::malloc(16));
  memory = seen(std::realloc(memory, 64));
  std::free(memory);
  std::free(seen(std::calloc(2, 8)));
  std::free(seen(std::aligned_alloc(64, 64)));
  delete static_cast<int*>(seen(new int));
  delete static_cast<wide*>(seen(new wide));
  std::free(seen(::strdup("through the C library")));
  return of_this_thread() - before == 7;
}

}  // namespace allocations
