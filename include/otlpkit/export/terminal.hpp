// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/platform.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <system_error>

#if OTLPKIT_POSIX
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#endif

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// What text on a stream may look like.
struct terminal_traits {
  bool colour = false;
  std::size_t width = 0;  ///< columns, 0: no limit

  /// Of standard output or error, from whether it is a terminal, its size, and the variables NO_COLOR
  /// (https://no-color.org: set and not empty means none), TERM=dumb and COLUMNS. A file or a pipe gets whole lines and
  /// no colours.
  [[nodiscard]] static terminal_traits of(std::FILE* stream) noexcept {
    const auto variable = [](const char* name) {
      const char* value = std::getenv(name);
      return std::string_view{value == nullptr ? "" : value};
    };
    terminal_traits t;
    bool tty = false;
#if OTLPKIT_POSIX
    const int fd = ::fileno(stream);
    tty = fd >= 0 && ::isatty(fd) == 1;
    ::winsize size{};
    if (tty && ::ioctl(fd, TIOCGWINSZ, &size) == 0) t.width = size.ws_col;
#else
    static_cast<void>(stream);
#endif
    t.colour = tty && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
    const std::string_view columns = variable("COLUMNS");
    std::size_t asked = 0;
    const auto [end, error] = std::from_chars(columns.data(), columns.data() + columns.size(), asked);
    if (error == std::errc{} && end == columns.data() + columns.size() && asked >= 20 && asked <= 10'000)
      t.width = asked;
    return t;
  }
};

#if OTLPKIT_POSIX
namespace detail {

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

}  // namespace detail
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
  const detail::no_sigpipe guard;
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

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
