// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/options.hpp>
#include <otlpkit/adapters/redis/reply.hpp>

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace otlpkit::inline OTLPKIT_ABI::redis::detail {

using clock = std::chrono::steady_clock;

/// One connected socket. hiredis resolves, formats and parses; sending and receiving are done here, because hiredis
/// counts its time-outs for each piece of an answer and lets a broken connection raise SIGPIPE. After any exception but
/// the server's own errors it is of no more use.
class wire {
 public:
  /// Connects, or throws error{failure::unreachable}.
  wire(const address& a, clock::time_point deadline) : context_{::redisConnectNonBlock(a.host.c_str(), a.port)} {
    if (context_ == nullptr) throw error{failure::unreachable, {}, "out of memory"};
    if (context_->err != 0) throw unreachable(a, context_->errstr);
    if (!wait_for(POLLOUT, deadline)) throw unreachable(a, "no connection in time");
    int status = 0;
    socklen_t size = sizeof status;
    if (::getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &status, &size) != 0) status = errno;
    if (status != 0) throw unreachable(a, std::generic_category().message(status));
  }

  /// Whether the other side has closed, or said something nobody asked for: then it is not to be used again.
  [[nodiscard]] bool stale() const noexcept {
    pollfd one{.fd = context_->fd, .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, 0) != 0;
  }

  void send(std::string_view bytes, clock::time_point deadline) {
    while (!bytes.empty()) {
      const auto sent = ::send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (!wait_for(POLLOUT, deadline)) throw error{failure::timeout, {}, "the server takes no command in time"};
      } else if (errno != EINTR) {
        throw closed(errno);
      }
    }
  }

  [[nodiscard]] reply receive(clock::time_point deadline) {
    char part[16 * 1024];
    for (;;) {
      void* got = nullptr;
      if (::redisReaderGetReply(context_->reader, &got) != REDIS_OK)
        throw error{failure::protocol, {}, std::string{"not a reply: "} + context_->reader->errstr};
      if (got != nullptr) return reply{static_cast<::redisReply*>(got)};
      const auto size = ::recv(context_->fd, part, sizeof part, 0);
      if (size > 0) {
        if (::redisReaderFeed(context_->reader, part, static_cast<std::size_t>(size)) != REDIS_OK)
          throw error{failure::protocol, {}, "out of memory"};
      } else if (size == 0) {
        throw error{failure::closed, {}, "the server closed the connection"};
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (!wait_for(POLLIN, deadline)) throw error{failure::timeout, {}, "the server does not answer in time"};
      } else if (errno != EINTR) {
        throw closed(errno);
      }
    }
  }

 private:
  struct freed {
    void operator()(::redisContext* c) const noexcept { ::redisFree(c); }
  };

  [[nodiscard]] static error unreachable(const address& a, const std::string& why) {
    return error{failure::unreachable, {}, "cannot connect to " + a.host + ":" + std::to_string(a.port) + ": " + why};
  }
  [[nodiscard]] static error closed(int status) {
    return error{failure::closed, {}, "the connection broke: " + std::generic_category().message(status)};
  }

  /// \return false when the time is over
  [[nodiscard]] bool wait_for(short events, clock::time_point deadline) const noexcept {
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
      if (left <= 0) return false;
      pollfd one{.fd = context_->fd, .events = events, .revents = 0};
      const int ready = ::poll(&one, 1, left > 1'000'000 ? 1'000'000 : static_cast<int>(left));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
  }

  std::unique_ptr<::redisContext, freed> context_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis::detail
