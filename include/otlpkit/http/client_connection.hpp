// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/client_options.hpp>
#include <otlpkit/http/exchange.hpp>
#include <otlpkit/otlpkit.hpp>

#if __has_include(<poll.h>)
#include <poll.h>
#endif

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

inline constinit const up_down_counter<> client_open{
    "http.client.open_connections", {.unit = "{connection}", .description = "Connections of HTTP clients"}};
inline constinit const histogram client_connection_duration{
    "http.client.connection.duration",
    {.unit = "s",
     .description = "How long connections of HTTP clients were open",
     .bounds = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300}}};

/// A connection as metrics see it: from the moment it is open until it is gone.
class connection_books {
 public:
  connection_books(std::string host, std::uint16_t port) : host_{std::move(host)}, port_{port} {}
  connection_books(const connection_books&) = delete;
  connection_books& operator=(const connection_books&) = delete;
  ~connection_books() {
    if (state_.empty()) return;
    count(-1);
    const double seconds = static_cast<double>(platform::steady_ns() - opened_) * 1e-9;
    client_connection_duration.record(seconds, {{"server.address", host_}, {"server.port", port_}});
  }

  /// \param state `active`, `idle`
  void now(std::string_view state) noexcept {
    if (state_.empty()) {
      opened_ = platform::steady_ns();
    } else {
      count(-1);
    }
    state_ = state;
    count(1);
  }

 private:
  void count(std::int64_t n) const noexcept {
    client_open.add(n, {{"http.connection.state", state_}, {"server.address", host_}, {"server.port", port_}});
  }

  std::string host_;
  std::uint16_t port_;
  std::string_view state_;
  std::uint64_t opened_ = 0;
};

/// One connection of a client. Everything that waits runs on the executor of its stream, a strand of its own.
class client_connection {
 public:
  client_connection(std::string host, std::uint16_t port) : books{std::move(host), port} {}
  client_connection(const client_connection&) = delete;
  client_connection& operator=(const client_connection&) = delete;
  virtual ~client_connection() = default;

  [[nodiscard]] virtual boost::beast::tcp_stream& tcp() noexcept = 0;
  /// What has to happen between connect and the first byte.
  [[nodiscard]] virtual boost::asio::awaitable<error_code> handshake() = 0;
  [[nodiscard]] virtual boost::asio::awaitable<exchange_result> exchange(request::message& r,
                                                                         const client_options& options) = 0;
  [[nodiscard]] virtual std::string explain(const error_code& e) const { return e.message(); }
  /// Whether bytes nobody asked for make an idle connection unusable.
  [[nodiscard]] virtual bool silent_when_idle() const noexcept { return true; }

  /// Whether the server has not closed it meanwhile.
  [[nodiscard]] bool usable() {
    error_code ec;
    char byte = 0;
    boost::asio::ip::tcp::socket& socket = tcp().socket();
    socket.non_blocking(true, ec);
    if (ec) return false;
    const std::size_t n = socket.receive(boost::asio::buffer(&byte, 1), boost::asio::socket_base::message_peek, ec);
    const bool quiet = ec == boost::asio::error::would_block || ec == boost::asio::error::try_again;
    if (!quiet && (ec || n == 0 || silent_when_idle())) return false;
#ifdef POLLRDHUP
    pollfd end{};  // may come behind bytes that are not read: what TLS says when it closes
    end.fd = socket.native_handle();
    end.events = POLLRDHUP;
    if (::poll(&end, 1, 0) > 0) return false;
#endif
    return true;
  }

  boost::beast::flat_buffer buffer;
  boost::asio::ip::tcp::endpoint peer;
  std::chrono::steady_clock::time_point idle_since;
  connection_books books;
};

using connection_factory = std::function<std::unique_ptr<client_connection>(const boost::asio::any_io_executor&,
                                                                            std::string host, std::uint16_t port)>;
/// Over TCP alone.
[[nodiscard]] connection_factory plain_connections();

using tls_connection_provider = connection_factory (*)(const client_tls&);

/// Filled by including <otlpkit/http/tls.hpp> anywhere in the program, so that nothing else sees OpenSSL.
inline constinit std::atomic<tls_connection_provider> installed_client_tls{nullptr};

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
