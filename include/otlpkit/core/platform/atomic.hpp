// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/compiler.hpp>

#if !defined(__GNUC__)
#include <atomic>
#endif

namespace otlpkit::inline OTLPKIT_ABI::platform {

#if defined(__GNUC__)

enum memory_order : int {
  relaxed = __ATOMIC_RELAXED,
  acquire = __ATOMIC_ACQUIRE,
  release = __ATOMIC_RELEASE,
  acq_rel = __ATOMIC_ACQ_REL
};

/// What this library needs of std::atomic, on the compiler's own operations: in libstdc++ that header brings <string>,
/// <system_error> and 18,000 lines more into every instrumented file.
template <class T>
class atomic {
 public:
  constexpr atomic() noexcept = default;
  constexpr atomic(T v) noexcept : value_{v} {}  // NOLINT(google-explicit-constructor)
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE T load(memory_order order) const noexcept {
    T v;
    __atomic_load(&value_, &v, order);
    return v;
  }
  /// For the one thread that writes it: what it wrote last. A double that is loaded as an atomic comes by way of an
  /// integer register with g++, and what is added to it next waits for that.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE T own() const noexcept { return value_; }
  OTLPKIT_ALWAYS_INLINE void store(T v, memory_order order) noexcept { __atomic_store(&value_, &v, order); }
  OTLPKIT_ALWAYS_INLINE T exchange(T v, memory_order order) noexcept {
    T old;
    __atomic_exchange(&value_, &v, &old, order);
    return old;
  }
  OTLPKIT_ALWAYS_INLINE T fetch_add(T v, memory_order order) noexcept { return __atomic_fetch_add(&value_, v, order); }
  OTLPKIT_ALWAYS_INLINE T fetch_sub(T v, memory_order order) noexcept { return __atomic_fetch_sub(&value_, v, order); }
  OTLPKIT_ALWAYS_INLINE bool compare_exchange(T& expected, T desired, memory_order success) noexcept {
    return __atomic_compare_exchange(&value_, &expected, &desired, false, success,
                                     success == release   ? relaxed
                                     : success == acq_rel ? acquire
                                                          : success);
  }

 private:
  T value_{};
};

#else

inline constexpr auto relaxed = std::memory_order_relaxed;
inline constexpr auto acquire = std::memory_order_acquire;
inline constexpr auto release = std::memory_order_release;
inline constexpr auto acq_rel = std::memory_order_acq_rel;

template <class T>
class atomic : public std::atomic<T> {
 public:
  using std::atomic<T>::atomic;
  T own() const noexcept { return this->load(relaxed); }
  bool compare_exchange(T& expected, T desired, std::memory_order success) noexcept {
    return this->compare_exchange_strong(expected, desired, success);
  }
};

#endif

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
