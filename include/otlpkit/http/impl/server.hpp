// SPDX-License-Identifier: MIT
#pragma once

// Where connections of http::server come in. otlpkit/http/server.hpp includes this, or otlpkit/http/src.hpp does.

#include <otlpkit/http/server.hpp>
#include <otlpkit/http/session.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

OTLPKIT_DECL asio::awaitable<void> accept_connections(std::shared_ptr<server_shared> shared, acceptor_ptr acceptor) {
  asio::steady_timer pause{acceptor->get_executor()};
  while (acceptor->is_open()) {
    auto [error, socket] = co_await acceptor->async_accept(asio::make_strand(shared->executor), as_result);
    if (error) {
      if (!acceptor->is_open()) break;
      pause.expires_after(std::chrono::milliseconds{50});  // out of descriptors: connections end meanwhile
      co_await pause.async_wait(as_result);
      continue;
    }
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay{true}, ignored);
    const auto remote = socket.remote_endpoint(ignored);
    peer from{ignored ? std::string{} : remote.address().to_string(), ignored ? std::uint16_t{0} : remote.port(),
              false};
    try {
      if (shared->over_tls) {
        shared->over_tls->start(shared, std::move(socket), std::move(from));
      } else {
        start_session<plain_layer>(shared, std::move(socket), std::move(from));
      }
    } catch (const std::exception&) {  // out of memory: this one is closed, the next may find some
    }
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
