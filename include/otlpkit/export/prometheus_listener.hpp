// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/platform_host.hpp>
#include <otlpkit/core/runtime.hpp>
#include <otlpkit/export/prometheus_options.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail {

namespace net = boost::asio;
using error_code = boost::system::error_code;
using tcp = net::ip::tcp;

/// The sockets of endpoints, so that a forked child can let go of them: it would keep the port taken, and clients
/// waiting, after the parent is gone. Only the descriptors are closed; the io_context behind them is the parent's.
struct socket_table {
  static constexpr std::size_t size = 64;
  std::array<platform::atomic<int>, size> open{};  ///< descriptor + 1, 0: free

  void add(int descriptor) noexcept {
    for (auto& entry : open) {
      int free = 0;
      if (entry.compare_exchange(free, descriptor + 1, platform::acq_rel)) return;
    }
  }
  void remove(int descriptor) noexcept {
    for (auto& entry : open) {
      int mine = descriptor + 1;
      if (entry.compare_exchange(mine, 0, platform::acq_rel)) return;
    }
  }
  static void after_fork_in_child() noexcept;
};

OTLPKIT_VISIBLE inline constinit socket_table global_sockets{};
OTLPKIT_VISIBLE inline constinit otlpkit::detail::participant socket_hooks{nullptr, nullptr, nullptr,
                                                                           &socket_table::after_fork_in_child};
/// Of the endpoint that lives, 0 when none does.
OTLPKIT_VISIBLE inline constinit platform::atomic<std::uint16_t> port_of_endpoint{0};

inline void socket_table::after_fork_in_child() noexcept {
  port_of_endpoint.store(0, platform::relaxed);
  for (auto& entry : global_sockets.open) {
    if (const int descriptor = entry.exchange(0, platform::relaxed)) platform_host::close_descriptor(descriptor - 1);
  }
}

/// Keeps a socket out of programs the host starts, and out of forked children, for as long as it is open.
class socket_entry {
 public:
  explicit socket_entry(int descriptor) noexcept : descriptor_{descriptor} {
    platform_host::close_on_exec(descriptor);
    otlpkit::detail::join_process(socket_hooks);
    global_sockets.add(descriptor);
  }
  socket_entry(const socket_entry&) = delete;
  socket_entry& operator=(const socket_entry&) = delete;
  ~socket_entry() { release(); }
  /// Before the socket is closed: its number may be another's at once.
  void release() noexcept {
    if (descriptor_ >= 0) global_sockets.remove(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_;
};

class listener {
 public:
  explicit listener(tcp::acceptor acceptor)
      : acceptor_{std::move(acceptor)}, entry_{static_cast<int>(acceptor_.native_handle())} {}
  ~listener() { close(); }

  [[nodiscard]] tcp::acceptor& acceptor() noexcept { return acceptor_; }
  [[nodiscard]] std::uint16_t local_port() const {
    error_code ec;
    const tcp::endpoint at = acceptor_.local_endpoint(ec);
    return ec ? std::uint16_t{0} : at.port();
  }
  void close() noexcept {
    entry_.release();
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  tcp::acceptor acceptor_;
  socket_entry entry_;
};

[[nodiscard]] inline tcp::acceptor bind(net::io_context& io, const tcp::endpoint& at, error_code& ec) {
  tcp::acceptor a{io};
  a.open(at.protocol(), ec);
  if (!ec) a.set_option(tcp::acceptor::reuse_address{true}, ec);
  if (!ec && at.address().is_v6() && at.address().is_loopback()) a.set_option(net::ip::v6_only{true}, ec);
  if (!ec) a.bind(at, ec);
  if (!ec) a.listen(net::socket_base::max_listen_connections, ec);
  return a;
}

/// Every address of the host. "localhost" is both loopback addresses, whatever the resolver says.
[[nodiscard]] inline std::vector<net::ip::address> addresses_of(net::io_context& io, const endpoint_options& o) {
  if (o.host == "localhost") return {net::ip::address_v4::loopback(), net::ip::address_v6::loopback()};
  error_code ec;
  const auto literal = net::ip::make_address(o.host, ec);
  if (!ec) return {literal};
  tcp::resolver resolver{io};
  std::vector<net::ip::address> found;
  for (const auto& r : resolver.resolve(o.host, "", tcp::resolver::passive, ec)) {
    if (std::ranges::find(found, r.endpoint().address()) == found.end()) found.push_back(r.endpoint().address());
  }
  if (found.empty())
    throw config_error{"prometheus.host", quoted(o.host), "an address of this machine (" + ec.message() + ")"};
  return found;
}

/// Listens on all addresses of the host that this machine has, on one port.
/// \throws config_error when that is not possible, because another program listens there for instance
[[nodiscard]] inline std::vector<std::unique_ptr<listener>> listen(net::io_context& io, const endpoint_options& o) {
  const auto addresses = addresses_of(io, o);
  constexpr int most_tries = 16;  // port 0: the one chosen for the first address may be taken at the second
  error_code ec;
  for (int i = 0; i < (o.port == 0 ? most_tries : 1); ++i) {
    std::vector<std::unique_ptr<listener>> made;
    bool all = true;
    for (const auto& address : addresses) {
      error_code failed;
      auto a = bind(io, {address, made.empty() ? o.port : made.front()->local_port()}, failed);
      if (!failed) {
        made.push_back(std::make_unique<listener>(std::move(a)));
        continue;
      }
      ec = failed;
      const bool missing = failed == net::error::address_family_not_supported ||
                           failed == boost::system::errc::address_not_available;  // a machine without IPv6
      all = all && missing && addresses.size() > 1;
    }
    if (all && !made.empty()) return made;
  }
  throw config_error{"prometheus.port", std::to_string(o.port),
                     "a port that can be listened on at " + quoted(o.host) + " (" + ec.message() + ")"};
}

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail
