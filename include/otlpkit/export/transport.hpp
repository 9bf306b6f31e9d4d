// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/tls_files.hpp>
#include <otlpkit/sdk/url.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

namespace net = boost::asio;
using error_code = boost::system::error_code;
using tcp = net::ip::tcp;

/// A byte stream over one TCP connection: plain, or with TLS on top. Lives on the exporter's io_context.
class transport {
 public:
  using write_handler = std::function<void(error_code)>;

  transport() = default;
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;
  virtual ~transport() = default;

  /// The TCP socket at the bottom. Closing it ends every operation under way.
  [[nodiscard]] virtual tcp::socket& socket() noexcept = 0;

  /// What has to happen between connect and the first byte.
  [[nodiscard]] virtual net::awaitable<error_code> handshake() = 0;

  /// Writes all of `data`, which stays valid until the handler ran. A callback and not an awaitable, because the
  /// response is awaited meanwhile: a server may answer before it has read everything.
  virtual void write(std::span<const net::const_buffer> data, write_handler done) = 0;

  [[nodiscard]] virtual net::awaitable<std::size_t> read_some(net::mutable_buffer into, error_code& ec) = 0;

  /// Takes leave of the peer before the socket is closed. Does not fail, and may be cut short by closing the socket.
  [[nodiscard]] virtual net::awaitable<void> farewell() = 0;

  /// Whether bytes that nobody asked for make an idle connection unusable.
  [[nodiscard]] virtual bool silent_when_idle() const noexcept { return true; }
  /// Whether trying again cannot help (a certificate that does not verify).
  [[nodiscard]] virtual bool is_final(error_code) const noexcept { return false; }
  [[nodiscard]] virtual std::string explain(error_code ec) const { return ec.message(); }

  void close() noexcept {
    error_code ignored;
    socket().close(ignored);
  }
};

/// Makes the connections of one exporter. Each call gives a new, unconnected one.
using transport_factory = std::function<std::shared_ptr<transport>(net::io_context&)>;

namespace detail {

using tls_provider = transport_factory (*)(const url&, const tls_files&);

/// Filled by including <otlpkit/export/tls.hpp> anywhere in the program, so that nothing else sees OpenSSL.
inline constinit std::atomic<tls_provider> installed_tls{nullptr};

class plain_transport final : public transport {
 public:
  explicit plain_transport(net::io_context& io) : socket_{io} {}

  tcp::socket& socket() noexcept override { return socket_; }
  net::awaitable<error_code> handshake() override { co_return error_code{}; }
  void write(std::span<const net::const_buffer> data, write_handler done) override {
    // All at once, as much as the socket takes: left alone, Asio asks for 64 KiB a time.
    const auto the_rest = [](error_code ec, std::size_t) { return ec ? 0 : std::numeric_limits<std::size_t>::max(); };
    net::async_write(socket_, data, the_rest, [done = std::move(done)](error_code ec, std::size_t) { done(ec); });
  }
  net::awaitable<std::size_t> read_some(net::mutable_buffer into, error_code& ec) override {
    co_return co_await socket_.async_read_some(into, net::redirect_error(net::use_awaitable, ec));
  }
  net::awaitable<void> farewell() override { co_return; }

 private:
  tcp::socket socket_;
};

/// Whether an idle connection can carry another request: the peer has not closed it, nor sent what nobody asked for.
[[nodiscard]] inline bool usable_when_idle(transport& t) {
  error_code ec;
  char byte = 0;
  t.socket().non_blocking(true, ec);
  if (ec) return false;
  const std::size_t n = t.socket().receive(net::buffer(&byte, 1), tcp::socket::message_peek, ec);
  if (ec == net::error::would_block || ec == net::error::try_again) return true;
  return !ec && n > 0 && !t.silent_when_idle();
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
