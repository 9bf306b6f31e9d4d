// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/compiler.hpp>

#if OTLPKIT_POSIX
#include <pthread.h>
#else
#include <mutex>
#endif

namespace otlpkit::inline OTLPKIT_ABI::platform {

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

}  // namespace otlpkit::inline OTLPKIT_ABI::platform
