// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/http/server_call.hpp>
#include <otlpkit/http/server_options.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using acceptor_ptr = std::shared_ptr<asio::ip::tcp::acceptor>;

inline constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

/// One connection, whatever lies over TCP, and whether it only waits for the next request.
struct connection {
  connection() = default;
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  virtual ~connection() = default;
  [[nodiscard]] virtual beast::tcp_stream& tcp() noexcept = 0;

  bool waiting = true;  // on the strand, as the stream
};

template <class Stream>
struct connection_over final : connection {
  template <class... More>
  explicit connection_over(asio::ip::tcp::socket socket, More&... more) : stream{std::move(socket), more...} {}
  beast::tcp_stream& tcp() noexcept override { return beast::get_lowest_layer(stream); }

  Stream stream;
};

struct server_shared;

/// Makes sessions of accepted sockets over something else than plain TCP.
class session_maker {
 public:
  session_maker() = default;
  session_maker(const session_maker&) = delete;
  session_maker& operator=(const session_maker&) = delete;
  virtual ~session_maker() = default;
  virtual void start(const std::shared_ptr<server_shared>& shared, asio::ip::tcp::socket socket, peer from) = 0;
};

using tls_session_provider = std::unique_ptr<session_maker> (*)(const server_tls&);

/// Filled by including <otlpkit/http/tls.hpp> anywhere in the program, so that nothing else sees OpenSSL.
inline constinit std::atomic<tls_session_provider> installed_server_tls{nullptr};

/// What a server and its connections share.
struct server_shared {
  server_shared(asio::any_io_executor ex, router r, server_options o)
      : executor{std::move(ex)}, routes{std::move(r)}, options{std::move(o)} {
    options.check();
    if (options.tls.certificate.empty() && options.tls.key.empty() && options.tls.client_authority.empty()) return;
    const auto make = installed_server_tls.load(std::memory_order_acquire);
    if (make == nullptr) {
      throw config_error{"tls.certificate", quoted(options.tls.certificate, 300),
                         "nothing, or <otlpkit/http/tls.hpp> included in one file of the program"};
    }
    over_tls = make(options.tls);
  }

  void add(const acceptor_ptr& a) {
    const std::lock_guard lock{mutex};
    acceptors.push_back(a);
  }
  /// False when there are as many as there may be, or the server stops.
  bool enter(const std::shared_ptr<connection>& c) {
    const std::lock_guard lock{mutex};
    return !closing.load() && open.size() < options.max_connections && open.insert(c).second;
  }
  void leave(const std::shared_ptr<connection>& c) {
    const std::lock_guard lock{mutex};
    open.erase(c);
    if (open.empty()) wake_waiting();
  }
  [[nodiscard]] std::size_t connections() {
    const std::lock_guard lock{mutex};
    return open.size();
  }

  /// Stops taking connections and closes those without a request, or all. What is closed ends on its own strand.
  void close(bool all) {
    const std::lock_guard lock{mutex};
    closing.store(true);
    for (const acceptor_ptr& a : acceptors) {
      asio::post(a->get_executor(), [a] {
        error_code ignored;
        a->close(ignored);
      });
    }
    acceptors.clear();
    for (const std::shared_ptr<connection>& c : open) {
      asio::post(c->tcp().get_executor(), [c, all] {
        if (all || c->waiting) c->tcp().close();
      });
    }
  }

  /// Waits for the last connection to end. Runs on the strand `timer` belongs to, which its handlers share.
  static asio::awaitable<void> empty(std::shared_ptr<server_shared> shared, std::shared_ptr<asio::steady_timer> timer) {
    {
      const std::lock_guard lock{shared->mutex};
      if (shared->open.empty()) co_return;
      shared->waiting.push_back(timer);
    }
    co_await timer->async_wait(as_result);
  }

  asio::any_io_executor executor;
  router routes;
  server_options options;
  std::unique_ptr<session_maker> over_tls;
  std::atomic<bool> closing{false};

 private:
  void wake_waiting() {
    for (const auto& timer : std::exchange(waiting, {})) {
      asio::post(timer->get_executor(), [timer] { timer->cancel(); });
    }
  }

  std::mutex mutex;
  std::vector<acceptor_ptr> acceptors;
  std::unordered_set<std::shared_ptr<connection>> open;
  std::vector<std::shared_ptr<asio::steady_timer>> waiting;
};

/// Takes connections until the acceptor is closed.
asio::awaitable<void> accept_connections(std::shared_ptr<server_shared> shared, acceptor_ptr acceptor);

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
