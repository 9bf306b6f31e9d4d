// SPDX-License-Identifier: MIT
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace support {

/// Stands between a client and a server, one connection at a time, until the client says a certain word.
class severing_proxy {
 public:
  enum class fate {
    lost,        ///< the word does not reach the server, and the connection breaks
    unanswered,  ///< it does, but the connection breaks before the client gets the answer
    silent,      ///< it does not reach the server, and the connection stays open
  };

  severing_proxy(std::uint16_t server, std::string word, fate f)
      : server_{server}, word_{std::move(word)}, fate_{f}, listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(listener_, 8) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0 || ::pipe(stop_) != 0)
      throw std::runtime_error{"no proxy"};
    port_ = ntohs(at.sin_port);
    thread_ = std::thread{[this] { this->serve(); }};
  }
  severing_proxy(const severing_proxy&) = delete;
  severing_proxy& operator=(const severing_proxy&) = delete;
  ~severing_proxy() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
    ::close(listener_);
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

 private:
  struct descriptor {
    explicit descriptor(int n) : number{n} {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() { ::close(number); }
    int number;
  };

  [[nodiscard]] static sockaddr_in loopback(std::uint16_t port) noexcept {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(port);
    return at;
  }

  /// Which of two can be read: 0 or 1; -1 when it is time to stop.
  [[nodiscard]] int readable(int a, int b) const {
    pollfd all[] = {{a, POLLIN, 0}, {b, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    while (::poll(all, 3, -1) < 0) {
    }
    if (all[2].revents != 0) return -1;
    return all[0].revents != 0 ? 0 : 1;
  }

  [[nodiscard]] static std::string read(int from) {
    std::string text(16'384, '\0');
    const auto got = ::recv(from, text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }
  static bool write(int to, std::string_view text) {
    return ::send(to, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  void serve() {
    while (readable(listener_, stop_[0]) == 0) {
      const descriptor client{::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)};
      const descriptor server{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
      const sockaddr_in at = loopback(server_);
      if (::connect(server.number, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0)
        relay(client.number, server.number);
    }
  }

  void relay(int client, int server) {
    bool silent = false;
    for (int ready = readable(client, server); ready >= 0; ready = readable(client, server)) {
      const std::string text = read(ready == 0 ? client : server);
      if (text.empty()) return;
      if (ready == 0 && text.find(word_) != std::string::npos) {
        if (fate_ == fate::unanswered && write(server, text)) static_cast<void>(read(server));
        if (fate_ != fate::silent) return;
        silent = true;
      }
      if (!silent && !write(ready == 0 ? server : client, text)) return;
    }
  }

  std::uint16_t server_;
  std::string word_;
  fate fate_;
  int listener_;
  int stop_[2] = {-1, -1};
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace support
