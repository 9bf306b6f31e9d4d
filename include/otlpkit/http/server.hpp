// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/run_at.hpp>
#include <otlpkit/http/connection.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// An HTTP/1.1 server for coroutines, instrumented by the semantic conventions.
///
///     otlpkit::http::router routes;
///     routes.get("/products/{id}", [&](otlpkit::http::request& r) -> asio::awaitable<otlpkit::http::response> {
///       co_return otlpkit::http::reply(200, co_await find_product(r.parameter("id")));
///     });
///     otlpkit::http::server server{io.get_executor(), std::move(routes)};
///     server.listen({asio::ip::make_address("127.0.0.1"), 8080});
///
/// Each connection is a task of its own, on a strand; handlers of several connections run at once where several threads
/// run the executor. With server_options::tls it speaks HTTPS. What a client sends is bounded in bytes and time,
/// connections are bounded in number. Destroying the server cuts all connections; stop() lets requests finish.
class server {
 public:
  /// \throws config_error for options that cannot be used
  server(boost::asio::any_io_executor ex, router routes, server_options options = {})
      : executor_{ex}, shared_{std::make_shared<detail::server_shared>(ex, std::move(routes), std::move(options))} {}
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server() { shared_->close(true); }

  /// Takes connections at `at` from now on; port 0 chooses a free one. May be called several times.
  /// \return where it listens
  /// \throws boost::system::system_error when the address cannot be used
  boost::asio::ip::tcp::endpoint listen(const boost::asio::ip::tcp::endpoint& at) {
    auto acceptor = std::make_shared<boost::asio::ip::tcp::acceptor>(boost::asio::make_strand(executor_), at,
                                                                     /*reuse_address=*/true);
    const boost::asio::ip::tcp::endpoint bound = acceptor->local_endpoint();
    shared_->add(acceptor);
    boost::asio::co_spawn(acceptor->get_executor(), detail::accept_connections(shared_, acceptor),
                          [](std::exception_ptr) {});
    return bound;
  }

  /// Takes no more connections, closes those that wait for a request, and waits until the others have answered what
  /// they began, for at most `grace`; then it cuts them. True when none had to be cut.
  boost::asio::awaitable<bool> stop(std::chrono::milliseconds grace = std::chrono::seconds{5}) {
    const auto shared = shared_;
    shared->close(false);
    const auto timer =
        std::make_shared<boost::asio::steady_timer>(boost::asio::any_io_executor{boost::asio::make_strand(executor_)});
    timer->expires_after(grace);
    co_await otlpkit::detail::run_at(timer->get_executor(), detail::server_shared::empty(shared, timer));
    const bool in_time = shared->connections() == 0;
    if (!in_time) shared->close(true);
    co_return in_time;
  }

  /// Connections that are open.
  [[nodiscard]] std::size_t connections() const { return shared_->connections(); }

 private:
  boost::asio::any_io_executor executor_;
  std::shared_ptr<detail::server_shared> shared_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http

#ifndef OTLPKIT_SEPARATE_COMPILATION
#include <otlpkit/http/impl/server.hpp>
#endif
