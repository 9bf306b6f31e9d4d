// SPDX-License-Identifier: MIT
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

/// A client with no idea of HTTP but lines and lengths.
class client {
 public:
  explicit client(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    const timeval limit{30, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  ~client() { ::close(socket_); }

  [[nodiscard]] bool connected() const { return connected_; }
  void send(std::string_view text) const { static_cast<void>(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL)); }

  struct response {
    std::string head, body;
    [[nodiscard]] int status() const { return head.size() > 12 ? std::atoi(head.c_str() + 9) : 0; }
    [[nodiscard]] bool has(std::string_view part) const { return head.find(part) != head.npos; }
  };
  /// The next response; an empty one when the connection ends first.
  [[nodiscard]] response receive(bool body = true) {
    std::size_t end = 0;
    while ((end = pending_.find("\r\n\r\n")) == pending_.npos) {
      if (!more()) return {};
    }
    response r{pending_.substr(0, end + 2), {}};
    pending_.erase(0, end + 4);
    const std::size_t at = r.head.find("Content-Length: ");
    const auto size = body && at != r.head.npos ? std::strtoul(r.head.c_str() + at + 16, nullptr, 10) : 0;
    while (pending_.size() < size) {
      if (!more()) return {};
    }
    r.body = pending_.substr(0, size);
    pending_.erase(0, size);
    return r;
  }
  /// Whether the other side closes, without a further byte.
  [[nodiscard]] bool is_closed() {
    char byte = 0;
    const auto n = pending_.empty() ? ::recv(socket_, &byte, 1, 0) : 1;
    return n == 0 || (n < 0 && errno == ECONNRESET);  // not when the time limit of this client ran out
  }

 private:
  bool more() {
    char part[4096];
    const auto n = ::recv(socket_, part, sizeof part, 0);
    if (n > 0) pending_.append(part, static_cast<std::size_t>(n));
    return n > 0;
  }
  int socket_;
  bool connected_ = false;
  std::string pending_;
};

inline std::string request(std::string_view headers = {}, std::string_view target = "/metrics",
                           std::string_view method = "GET") {
  std::ostringstream out;
  out << method << ' ' << target << " HTTP/1.1\r\nHost: x\r\n" << headers << "\r\n";
  return out.str();
}

inline client::response get(std::uint16_t port, std::string_view headers = {}, std::string_view target = "/metrics") {
  client c{port};
  c.send(request(headers, target));
  return c.receive();
}
