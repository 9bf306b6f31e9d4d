// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/compiler.hpp>

#include <cstddef>

#if OTLPKIT_POSIX
#include <pthread.h>
#include <unistd.h>
#endif
#if defined(__GNUC__)
#include <cxxabi.h>
#include <cstdlib>
#endif
#if defined(__linux__)
#include <dlfcn.h>
#endif

namespace otlpkit::inline OTLPKIT_ABI::platform {

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
