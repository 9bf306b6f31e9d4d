// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/compiler.hpp>

#include <cstdint>
#include <cstring>
#include <ctime>

#if OTLPKIT_POSIX
#include <unistd.h>
#endif
#if defined(__linux__)
#include <fcntl.h>
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

namespace otlpkit::inline OTLPKIT_ABI::platform {

/// Nanoseconds of the realtime clock since the Unix epoch.
[[nodiscard]] inline std::uint64_t wall_ns() noexcept {
  timespec now{};
#if OTLPKIT_POSIX
  ::clock_gettime(CLOCK_REALTIME, &now);
#else
  std::timespec_get(&now, TIME_UTC);
#endif
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Nanoseconds of a clock that never goes back, from an arbitrary start.
[[nodiscard]] inline std::uint64_t steady_ns() noexcept {
#if OTLPKIT_POSIX
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
#else
  return wall_ns();
#endif
}

/// A cheap monotonic counter of unknown rate, or 0 where there is none. Ask cycle_counter_trusted() before using it.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t cycle_counter() noexcept {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__) && defined(__GNUC__)
  std::uint64_t value = 0;
  asm volatile("mrs %0, cntvct_el0" : "=r"(value));
  return value;
#else
  return 0;
#endif
}

/// Whether cycle_counter() runs at one constant rate on all CPUs: on x86-64 when CPUID says so and the kernel itself
/// keeps time with it (a kernel that has seen two cores disagree does not); on arm64 by architecture.
[[nodiscard]] inline bool cycle_counter_trusted() noexcept {
#if defined(__x86_64__) && defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(0x80000007, &a, &b, &c, &d) == 0 || (d & (1u << 8)) == 0) return false;
  const int file = ::open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char source[4] = {};
  const auto got = ::read(file, source, sizeof source);
  ::close(file);
  return got == 4 && std::memcmp(source, "tsc\n", 4) == 0;
#elif defined(__aarch64__) && defined(__GNUC__)
  return true;
#else
  return false;
#endif
}

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
