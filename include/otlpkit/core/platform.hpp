// SPDX-License-Identifier: MIT
#pragma once

// The one room where the operating system, the CPU and the compiler are told apart. Everything has a portable fallback;
// porting otlpkit is work in this file (and in platform_host.hpp, which asks the host about itself).

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <exception>

#if defined(__unix__) || defined(__APPLE__)
#define OTLPKIT_POSIX 1
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#else
#define OTLPKIT_POSIX 0
#include <mutex>
#include <random>
#include <thread>
#endif

#if defined(__GNUC__)
#include <cxxabi.h>
#include <cstdlib>
#else
#include <atomic>
#endif

#if defined(__linux__)
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/syscall.h>
#endif

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#endif

#if defined(__GNUC__)
#define OTLPKIT_ALWAYS_INLINE [[gnu::always_inline]] inline
#define OTLPKIT_ALWAYS_INLINE_LAMBDA __attribute__((always_inline))
#define OTLPKIT_NOINLINE [[gnu::noinline]]
#define OTLPKIT_COLD [[gnu::noinline, gnu::cold]]
/// For the few variables that must be one across shared objects, also where -fvisibility=hidden is the default.
#define OTLPKIT_VISIBLE [[gnu::visibility("default")]]
#else
#define OTLPKIT_ALWAYS_INLINE inline
#define OTLPKIT_ALWAYS_INLINE_LAMBDA
#define OTLPKIT_NOINLINE
#define OTLPKIT_COLD
#define OTLPKIT_VISIBLE
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
  bool compare_exchange(T& expected, T desired, std::memory_order success) noexcept {
    return this->compare_exchange_strong(expected, desired, success);
  }
};

#endif

#if OTLPKIT_POSIX

/// std::mutex without its header. Errors of pthread mutexes are errors of use, which do not happen here.
class mutex {
 public:
  constexpr mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;
  void lock() noexcept { ::pthread_mutex_lock(&handle_); }
  void unlock() noexcept { ::pthread_mutex_unlock(&handle_); }

 private:
  pthread_mutex_t handle_ = PTHREAD_MUTEX_INITIALIZER;
};

#else
using std::mutex;
#endif

class lock_guard {
 public:
  explicit lock_guard(mutex& m) noexcept : mutex_{m} { mutex_.lock(); }
  lock_guard(const lock_guard&) = delete;
  lock_guard& operator=(const lock_guard&) = delete;
  ~lock_guard() { mutex_.unlock(); }

 private:
  mutex& mutex_;
};

/// (a * b) >> 32 with all bits in between.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr std::int64_t multiply_shift_32(std::int64_t a, std::int64_t b) noexcept {
#if defined(__SIZEOF_INT128__)
  __extension__ using wide = __int128;
  return static_cast<std::int64_t>(static_cast<wide>(a) * b >> 32);
#else
  const bool negative = (a < 0) != (b < 0);
  const auto x = static_cast<std::uint64_t>(a < 0 ? -a : a), y = static_cast<std::uint64_t>(b < 0 ? -b : b);
  const std::uint64_t low = ((x & 0xFFFFFFFFu) * (y & 0xFFFFFFFFu)) >> 32;
  const std::uint64_t rest = (x >> 32) * y + (x & 0xFFFFFFFFu) * (y >> 32) + low;
  return negative ? -static_cast<std::int64_t>(rest) : static_cast<std::int64_t>(rest);
#endif
}

/// 16 bytes of memory, in two words.
struct two_words {
  std::uint64_t first, second;
};

/// 8 bytes as 16 lowercase hexadecimal digits.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE two_words hex_digits(const void* from) noexcept {
#if defined(__GNUC__)
  using lanes [[gnu::vector_size(16)]] = signed char;
  using bytes [[gnu::vector_size(16)]] = unsigned char;
  using words [[gnu::vector_size(16)]] = std::uint64_t;
  std::uint64_t word = 0;
  std::memcpy(&word, from, 8);
  const auto x = reinterpret_cast<bytes>(words{word, 0});
  const auto n = reinterpret_cast<lanes>(
      __builtin_shufflevector(x >> 4, x & 15, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
  const auto digits = reinterpret_cast<words>(n + '0' + ((n > 9) & ('a' - '9' - 1)));
  return {digits[0], digits[1]};
#else
  const auto* in = static_cast<const unsigned char*>(from);
  char text[16];
  for (int i = 0; i < 8; ++i) {
    text[2 * i] = "0123456789abcdef"[in[i] >> 4];
    text[2 * i + 1] = "0123456789abcdef"[in[i] & 15];
  }
  two_words out{};
  std::memcpy(&out, text, sizeof out);
  return out;
#endif
}

/// Writes 16 bytes in one store, where there is one: a copy soon after then need not wait for two.
OTLPKIT_ALWAYS_INLINE void put_two_words(two_words w, char* out) noexcept {
#if defined(__GNUC__)
  using words [[gnu::vector_size(16)]] = std::uint64_t;
  const words both{w.first, w.second};
  std::memcpy(out, &both, sizeof both);
#else
  std::memcpy(out, &w, sizeof w);
#endif
}

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

/// Fills `words` from the system's entropy source; falls back to time and addresses, which is unique enough for ids.
inline void fill_random(std::uint64_t* words, std::size_t count) noexcept {
#if defined(__linux__)
  if (::getrandom(words, count * sizeof *words, GRND_NONBLOCK) == static_cast<ssize_t>(count * sizeof *words)) return;
#elif defined(__APPLE__)
  if (::getentropy(words, count * sizeof *words) == 0) return;
#elif !OTLPKIT_POSIX
  try {
    std::random_device device;
    for (std::size_t i = 0; i < count; ++i) words[i] = static_cast<std::uint64_t>(device()) << 32 | device();
    return;
  } catch (...) {
  }
#endif
  std::uint64_t mix = wall_ns() ^ steady_ns() << 20 ^ reinterpret_cast<std::uintptr_t>(words);
  for (std::size_t i = 0; i < count; ++i) {
    mix += 0x9E3779B97F4A7C15u;  // splitmix64 (Steele, Lea, Flood 2014)
    std::uint64_t z = mix;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    words[i] = z ^ z >> 31;
  }
}

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

  void arm(void* argument) const noexcept {
#if OTLPKIT_POSIX
    if (created_) ::pthread_setspecific(key_, argument);
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

/// Registers what to do around fork(); without fork() it does nothing.
inline void at_fork(void (*prepare)(), void (*parent)(), void (*child)()) noexcept {
#if OTLPKIT_POSIX
  static_cast<void>(::pthread_atfork(prepare, parent, child));
#else
  static_cast<void>(prepare), static_cast<void>(parent), static_cast<void>(child);
#endif
}

/// Keeps the shared object that holds `address` loaded for the rest of the process: threads that end later still call
/// its code. The main program, and systems without dlclose, need nothing.
inline void pin_module(const void* address) noexcept {
#if defined(__linux__) && defined(RTLD_NODELETE)
  Dl_info info{};
  if (::dladdr(address, &info) == 0 || info.dli_fname == nullptr || info.dli_fname[0] == '\0') return;
  if (void* handle = ::dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE)) ::dlclose(handle);
#else
  static_cast<void>(address);
#endif
}

/// Writes a line to standard error in one call.
inline void write_stderr(const char* text, std::size_t size) noexcept {
#if OTLPKIT_POSIX
  while (size > 0) {
    const auto written = ::write(STDERR_FILENO, text, size);
    if (written <= 0) return;
    text += written;
    size -= static_cast<std::size_t>(written);
  }
#else
  static_cast<void>(text), static_cast<void>(size);
#endif
}

/// The readable form of std::type_info::name().
class type_name {
 public:
  explicit type_name(const char* mangled) noexcept : text_{mangled} {
#if defined(__GNUC__)
    int status = 0;
    readable_ = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
    if (readable_ != nullptr) text_ = readable_;
#endif
  }
  type_name(const type_name&) = delete;
  type_name& operator=(const type_name&) = delete;
  ~type_name() {
#if defined(__GNUC__)
    std::free(readable_);
#endif
  }
  [[nodiscard]] const char* text() const noexcept { return text_; }

 private:
  const char* text_;
#if defined(__GNUC__)
  char* readable_ = nullptr;
#endif
};

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
