// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform/clocks.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string_view>

#if OTLPKIT_POSIX
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>
#endif

/// What platform_host.hpp has of streams.
namespace otlpkit::inline OTLPKIT_ABI::platform_host {

/// What kind of thing a stream writes to.
struct stream_facts {
  bool terminal = false;
  std::size_t columns = 0;  ///< of a terminal, where it tells; else 0
};

[[nodiscard]] inline stream_facts stream([[maybe_unused]] std::FILE* file) noexcept {
  stream_facts facts;
#if OTLPKIT_POSIX
  const int fd = ::fileno(file);
  facts.terminal = fd >= 0 && ::isatty(fd) == 1;
  ::winsize size{};
  if (facts.terminal && ::ioctl(fd, TIOCGWINSZ, &size) == 0) facts.columns = size.ws_col;
#endif
  return facts;
}

#if OTLPKIT_POSIX
/// Keeps SIGPIPE from the calling thread while it writes: a reader that went away must not end the host.
class no_sigpipe {
 public:
  no_sigpipe() noexcept {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    sigset_t pending{};
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  no_sigpipe(const no_sigpipe&) = delete;
  no_sigpipe& operator=(const no_sigpipe&) = delete;
  ~no_sigpipe() {
    sigset_t pending{};
    ::sigpending(&pending);
    int taken = 0;
    if (!was_pending_ && ::sigismember(&pending, SIGPIPE) == 1) ::sigwait(&pipe_, &taken);  // ours: it does not wait
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};
#endif

/// Writes all of `text` to a stream without waiting for a reader that has stopped.
///
/// On POSIX each piece is written only when the descriptor takes it, within `patience_ms` in total, so a stalled pipe
/// or a paused terminal costs the calling thread no more than that. What the program printed before comes first, unless
/// another thread is printing just now. \return false when not all of it went out: the reader is gone, the disk is
/// full, or the patience is over
[[nodiscard]] inline bool write_patiently(std::FILE* stream, std::string_view text, int patience_ms = 250) noexcept {
#if OTLPKIT_POSIX
  constexpr std::size_t piece = 512;  // POSIX's least PIPE_BUF: what poll() promises room for on a pipe
  const int fd = ::fileno(stream);
  if (fd < 0) return false;
  const no_sigpipe guard;
  const std::uint64_t until = platform::steady_ns() + static_cast<std::uint64_t>(std::max(patience_ms, 0)) * 1'000'000u;
  const auto writable = [&] {
    for (;;) {
      const std::uint64_t now = platform::steady_ns();
      ::pollfd p{fd, POLLOUT, 0};
      const int n = ::poll(&p, 1, now < until ? static_cast<int>((until - now) / 1'000'000u) : 0);
      if (n > 0) return (p.revents & (POLLNVAL | POLLERR)) == 0;
      if (n == 0 || errno != EINTR) return false;
    }
  };
  if (!writable()) return false;
  if (::ftrylockfile(stream) == 0) {
    std::fflush(stream);
    ::funlockfile(stream);
  }
  while (!text.empty()) {
    if (!writable()) return false;
    const auto n = ::write(fd, text.data(), std::min(text.size(), piece));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
#else
  static_cast<void>(patience_ms);
  return std::fwrite(text.data(), 1, text.size(), stream) == text.size() && std::fflush(stream) == 0;
#endif
}

}  // namespace otlpkit::inline OTLPKIT_ABI::platform_host
