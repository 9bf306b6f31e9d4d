// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/compiler.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>

#if OTLPKIT_POSIX
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#else
#include <thread>
#endif
#if defined(__GNUC__)
#include <cxxabi.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#endif

namespace otlpkit::inline OTLPKIT_ABI::platform {

inline void yield() noexcept {
#if OTLPKIT_POSIX
  ::sched_yield();
#else
  std::this_thread::yield();
#endif
}

/// Calls a function when a thread ends.
///
/// On POSIX it is a thread-specific key, whose destructors run after those of C++ thread_local objects, so spans that
/// end in such destructors are still kept. create() once, then arm() on each thread; arming again in a later destructor
/// round is allowed.
class thread_exit_hook {
 public:
  using callback = void (*)(void*);

  void create(callback on_exit) noexcept {
#if OTLPKIT_POSIX
    created_ = ::pthread_key_create(&key_, on_exit) == 0;
#else
    callback_ = on_exit;
    created_ = true;
#endif
  }

  /// For the thread that calls. \return whether the function will be called
  bool arm(void* argument) const noexcept {
#if OTLPKIT_POSIX
    return created_ && ::pthread_setspecific(key_, argument) == 0;
#else
    struct guard {
      callback call = nullptr;
      void* argument = nullptr;
      ~guard() {
        if (call != nullptr) call(argument);
      }
    };
    static thread_local guard on_exit;
    on_exit.call = callback_;
    on_exit.argument = argument;
    return created_;
#endif
  }

 private:
#if OTLPKIT_POSIX
  pthread_key_t key_{};
#else
  callback callback_ = nullptr;
#endif
  bool created_ = false;
};

#if defined(__GLIBCXX__)

/// Where this thread counts the exceptions in flight, which the Itanium C++ ABI lays down (2.2.2, __cxa_eh_globals). It
/// stays where it is as long as the thread lives: reading it there saves two calls per span.
[[nodiscard]] inline const unsigned* exception_counter() noexcept {
  struct globals {
    void* caught;
    unsigned uncaught;
  };
  return &reinterpret_cast<const globals*>(abi::__cxa_get_globals())->uncaught;
}

/// Exceptions in flight on this thread; `counter` is its exception_counter().
[[nodiscard]] OTLPKIT_ALWAYS_INLINE int exceptions_in_flight(const unsigned* counter) noexcept {
  return static_cast<int>(*counter);
}

#else

[[nodiscard]] inline const unsigned* exception_counter() noexcept {
  static constexpr unsigned none = 0;
  return &none;
}
[[nodiscard]] inline int exceptions_in_flight(const unsigned*) noexcept { return std::uncaught_exceptions(); }

#endif

/// A part of the address space.
struct memory_range {
  std::uintptr_t begin = 0;
  std::size_t size = 0;

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool has(const void* p) const noexcept {
    return reinterpret_cast<std::uintptr_t>(p) - begin < size;
  }
};

/// Where this thread keeps the local variables of its functions, and nothing else is; empty where that is not known.
/// Of a large stack only the part that is in use first.
[[nodiscard]] inline memory_range thread_stack() noexcept {
  constexpr std::size_t most = std::size_t{64} << 20;
#if defined(__linux__)
  // The first thread's is where the kernel put the program's arguments, and it keeps 128 MiB below free for it. Asking
  // the C library instead would read a file.
  if (::getpid() == ::syscall(SYS_gettid)) {
    const auto top = static_cast<std::uintptr_t>(::getauxval(AT_RANDOM));
    return top > most ? memory_range{top - most, most} : memory_range{};
  }
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return {};
  void* lowest = nullptr;
  std::size_t size = 0;
  const bool known = ::pthread_attr_getstack(&attributes, &lowest, &size) == 0;
  ::pthread_attr_destroy(&attributes);
  if (!known) return {};
  const std::uintptr_t top = reinterpret_cast<std::uintptr_t>(lowest) + size;
  return size > most ? memory_range{top - most, most} : memory_range{top - size, size};
#elif defined(__APPLE__)
  const auto top = reinterpret_cast<std::uintptr_t>(::pthread_get_stackaddr_np(::pthread_self()));
  const std::size_t size = ::pthread_get_stacksize_np(::pthread_self());
  return size > most ? memory_range{top - most, most} : memory_range{top - size, size};
#else
  return {};
#endif
}

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
