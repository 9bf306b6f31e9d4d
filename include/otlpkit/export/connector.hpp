// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/transport.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// Closes a transport when the time is up. Harmless once it went out of scope: the handler of a timer may already be
/// queued when the timer is cancelled, so it asks the shared state first.
class watchdog {
 public:
  watchdog(net::io_context& io, std::chrono::nanoseconds limit, const std::shared_ptr<transport>& watched)
      : timer_{io} {
    timer_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(limit));
    timer_.async_wait([state = state_, weak = std::weak_ptr{watched}](error_code ec) {
      const auto connection = weak.lock();
      if (ec || !state->armed || !connection) return;
      state->barked = true;
      connection->close();
    });
  }
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog() { state_->armed = false; }
  [[nodiscard]] bool barked() const noexcept { return state_->barked; }

 private:
  struct shared_state {
    bool armed = true;
    bool barked = false;
  };
  std::shared_ptr<shared_state> state_ = std::make_shared<shared_state>();
  net::steady_timer timer_;
};

/// The addresses that need no resolver: numeric ones, and "localhost" (RFC 6761: always loopback). The resolver costs a
/// thread inside Asio, which the default endpoint thereby does without.
[[nodiscard]] inline std::vector<tcp::endpoint> known_addresses(const std::string& host, std::uint16_t port) {
  std::vector<tcp::endpoint> out;
  error_code ec;
  const auto numeric = net::ip::make_address(host, ec);
  if (!ec) {
    out.emplace_back(numeric, port);
  } else if (host.size() == 9 && starts_with_ignoring_case(host, "localhost")) {
    out.emplace_back(net::ip::address_v4::loopback(), port);
    out.emplace_back(net::ip::address_v6::loopback(), port);
  }
  return out;
}

/// Why there is no connection.
struct connect_failure {
  std::string text;
  bool final = false;  ///< trying again cannot help
};

/// What the connector leaves in its caller's hands while it waits, so that closing and cancelling can end the wait.
struct connecting {
  tcp::resolver resolver;
  std::shared_ptr<transport> connection;
  bool abandoned = false;

  explicit connecting(net::io_context& io) : resolver{io} {}
  void abandon() noexcept {
    abandoned = true;
    resolver.cancel();
    if (connection) connection->close();
  }
};

/// Connects to the first address of `to` that takes the connection and completes the handshake.
/// \param per_address how long one address may take, so that one that swallows packets does not use up all the time
/// \return nothing, with `why` filled in
inline net::awaitable<std::shared_ptr<transport>> connect(net::io_context& io, const url& to,
                                                          const transport_factory& make,
                                                          std::chrono::nanoseconds per_address,
                                                          std::shared_ptr<connecting> state, connect_failure& why) {
  std::vector<tcp::endpoint> addresses = known_addresses(to.host, to.port);
  if (addresses.empty()) {
    error_code ec;
    const std::string service = std::to_string(to.port);
    const auto found = co_await state->resolver.async_resolve(to.host, service, tcp::resolver::numeric_service,
                                                              net::redirect_error(net::use_awaitable, ec));
    for (const auto& entry : found) addresses.push_back(entry.endpoint());
    if (ec || addresses.empty()) why.text = "cannot resolve " + to.host + ": " + ec.message();
  }
  for (const tcp::endpoint& address : addresses) {
    if (state->abandoned) break;
    state->connection = make(io);
    const auto connection = state->connection;
    const watchdog limit{io, per_address, connection};
    error_code ec;
    co_await connection->socket().async_connect(address, net::redirect_error(net::use_awaitable, ec));
    const bool connected = !ec && connection->socket().is_open();
    if (connected) {
      error_code ignored;  // a lost option costs latency, nothing else
      connection->socket().set_option(tcp::no_delay{true}, ignored);
      ec = co_await connection->handshake();
      if (!ec && !state->abandoned && !limit.barked()) co_return connection;
    }
    const std::string_view what = connected ? "handshake failed: " : "cannot connect: ";
    why.text = std::string{what} + (limit.barked() ? "timed out" : connection->explain(ec));
    why.final = connected && connection->is_final(ec);
    connection->close();
    if (why.final) break;
  }
  co_return nullptr;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
