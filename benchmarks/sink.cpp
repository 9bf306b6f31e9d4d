// SPDX-License-Identifier: MIT
// An OTLP/HTTP receiver that answers 200 to everything and remembers how much came: it says its port at once, and the
// totals when its standard input ends. A process of its own, so that its work is not counted as the sender's.
#include <otlpkit/core/wire_reader.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

namespace {

std::atomic<unsigned long long> requests{0}, body_bytes{0}, spans{0};

/// Spans of an ExportTraceServiceRequest, found by lengths alone: resource_spans (1), scope_spans (2), spans (2).
unsigned long long count_spans(std::string_view message, int depth = 0) {
  unsigned long long n = 0;
  otlpkit::wire::reader r{message};
  while (r.next()) {
    if (r.number() != (depth == 0 ? 1u : 2u)) continue;
    n += depth == 2 ? 1 : count_spans(r.bytes(), depth + 1);
  }
  return n;
}

void send_text(int connection, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(connection, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// The value of a header in a lower-case head, or "".
std::string_view header(std::string_view head, std::string_view name) {
  const std::size_t at = head.find(name);
  if (at == std::string_view::npos) return {};
  std::string_view value = head.substr(at + name.size());
  value = value.substr(0, value.find('\r'));
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

void serve(int connection) {
  std::string in;
  std::array<char, 256 * 1024> buffer;
  const auto more = [&] {
    const ssize_t n = ::read(connection, buffer.data(), buffer.size());
    if (n > 0) in.append(buffer.data(), static_cast<std::size_t>(n));
    return n > 0;
  };
  for (;;) {
    std::size_t end = 0;
    while ((end = in.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) {
        ::close(connection);
        return;
      }
    }
    std::string head = in.substr(0, end + 2);
    std::ranges::transform(head, head.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const std::string_view length = header(head, "\r\ncontent-length:");
    std::size_t size = 0;
    std::from_chars(length.data(), length.data() + length.size(), size);
    if (header(head, "\r\nexpect:") == "100-continue") send_text(connection, "HTTP/1.1 100 Continue\r\n\r\n");
    in.erase(0, end + 4);
    while (in.size() < size) {
      if (!more()) return;
    }
    requests.fetch_add(1);
    body_bytes.fetch_add(size);
    spans.fetch_add(count_spans(std::string_view{in}.substr(0, size)));
    in.erase(0, size);
    send_text(connection, "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n");
  }
}

}  // namespace

int main() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof here;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&here), size) != 0 || ::listen(listener, 16) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &size) != 0) {
    std::perror("sink");
    return 1;
  }
  std::printf("%d\n", ntohs(here.sin_port));
  std::fflush(stdout);
  std::thread{[listener] {
    for (;;) {
      const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      const int on = 1;
      ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      std::thread{serve, connection}.detach();
    }
  }}.detach();
  while (std::getchar() != EOF) {
  }
  std::printf("%llu %llu %llu\n", requests.load(), body_bytes.load(), spans.load());
  std::fflush(stdout);
  std::_Exit(0);
}
