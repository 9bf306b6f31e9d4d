// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace otlpkit_test {

/// What the server does next. Steps are used up one by one, by whichever connection is served; the last one stays.
struct step {
  enum class kind : std::uint8_t {
    answer,               ///< reads a request and sends `status`, `headers`, `body`; keeps the connection
    answer_and_close,     ///< the same, then closes
    raw_and_close,        ///< reads a request, sends `body` as it is, closes
    raw_and_hang,         ///< the same, then leaves the connection open and silent
    endless,              ///< reads a request, sends `body` once and then `filler` over and over until the client goes
    drip,                 ///< sends the head of a 200 and then a byte of body every 20 ms, for ever
    close_after_request,  ///< reads a request and closes without a word
    answer_early,         ///< answers after the head of the request, without reading its body, and closes
    answer_early_and_hang,  ///< the same, but leaves the connection open and the body unread
    close_at_once,          ///< closes the connection as soon as it is accepted
    never_read,             ///< accepts and does nothing
  };
  kind what = kind::answer;
  unsigned status = 200;
  std::string headers = {};  ///< lines with their CRLF
  std::string body = {};
  std::string filler = {};
};

struct received_request {
  std::size_t connection = 0;  ///< counted from 0
  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::steady_clock::time_point at;

  [[nodiscard]] std::string header(std::string_view name) const {
    const auto same = [&](const auto& h) {
      return std::ranges::equal(h.first, name, [](char a, char b) { return (a | 0x20) == (b | 0x20); });
    };
    const auto found = std::ranges::find_if(headers, same);
    return found == headers.end() ? std::string{} : found->second;
  }
};

/// A TCP server on a port of its own and a thread of its own that follows a script of faults. Everything is bounded by
/// the life of the object: the destructor closes what is open and joins.
class scripted_server {
 public:
  using tcp = boost::asio::ip::tcp;

  /// Replaces what is done with an accepted socket; runs on the server's thread.
  using accept_hook = std::function<boost::asio::awaitable<void>(tcp::socket&, std::size_t connection)>;

  explicit scripted_server(std::vector<step> script = {{}}, accept_hook on_accept = {})
      : script_{std::move(script)}, on_accept_{std::move(on_accept)}, acceptor_{io_, loopback()} {
    port_ = acceptor_.local_endpoint().port();
    boost::asio::co_spawn(io_, accept_all(), boost::asio::detached);
    thread_ = std::thread{[this] { io_.run(); }};
  }
  scripted_server(const scripted_server&) = delete;
  scripted_server& operator=(const scripted_server&) = delete;
  ~scripted_server() {
    io_.stop();
    thread_.join();
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string url(std::string_view path = "/v1/traces") const {
    return "http://127.0.0.1:" + std::to_string(port_) + std::string{path};
  }
  [[nodiscard]] std::vector<received_request> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }
  [[nodiscard]] std::size_t connections() const {
    const std::lock_guard lock{mutex_};
    return connections_;
  }
  /// Those of them that were closed at once, and whatever a client sent on them with it.
  [[nodiscard]] std::size_t closed_at_once() const {
    const std::lock_guard lock{mutex_};
    return closed_at_once_;
  }
  /// Connections the server has not seen the end of.
  [[nodiscard]] std::size_t open() const {
    const std::lock_guard lock{mutex_};
    return open_;
  }
  /// The most that were open at the same time.
  [[nodiscard]] std::size_t most_open() const {
    const std::lock_guard lock{mutex_};
    return most_open_;
  }

  /// Serves `stream` until it ends: for servers that put something (TLS) on top of the accepted socket.
  template <class Stream>
  boost::asio::awaitable<void> serve(Stream& stream, std::size_t connection) {
    boost::beast::flat_buffer buffer;
    for (;;) {
      boost::system::error_code ec;
      boost::beast::http::request_parser<boost::beast::http::string_body> parser;
      parser.body_limit((std::numeric_limits<std::uint64_t>::max)());
      auto ignoring = boost::asio::redirect_error(boost::asio::use_awaitable, ec);
      co_await boost::beast::http::async_read_header(stream, buffer, parser, ignoring);
      if (ec) co_return;
      const step::kind next = peek().what;
      const bool early = next == step::kind::answer_early || next == step::kind::answer_early_and_hang;
      if (!early) co_await boost::beast::http::async_read(stream, buffer, parser, ignoring);
      if (ec) co_return;
      const step now = take_step();
      note(parser.get(), connection);
      const bool open = co_await follow(stream, now);
      if (!open) co_return;
    }
  }

 private:
  static tcp::endpoint loopback() { return {boost::asio::ip::address_v4::loopback(), 0}; }

  boost::asio::awaitable<void> accept_all() {
    for (std::size_t index = 0;; ++index) {
      boost::system::error_code ec;
      tcp::socket socket = co_await acceptor_.async_accept(boost::asio::redirect_error(boost::asio::use_awaitable, ec));
      if (ec) co_return;
      {
        const std::lock_guard lock{mutex_};
        ++connections_;
        most_open_ = std::max(most_open_, ++open_);
      }
      boost::asio::co_spawn(io_, session(std::move(socket), index), boost::asio::detached);
    }
  }

  boost::asio::awaitable<void> session(tcp::socket socket, std::size_t index) {
    const step::kind first = peek().what;
    if (first == step::kind::close_at_once) {
      take_step();
      const std::lock_guard lock{mutex_};
      ++closed_at_once_;
    } else if (first == step::kind::never_read) {
      take_step();
      co_await hang();
    } else if (on_accept_) {
      co_await on_accept_(socket, index);
    } else {
      co_await serve(socket, index);
    }
    const std::lock_guard lock{mutex_};
    --open_;
  }

  /// \return whether the connection can take another request
  template <class Stream>
  boost::asio::awaitable<bool> follow(Stream& stream, const step& s) {
    boost::system::error_code ec;
    auto ignoring = boost::asio::redirect_error(boost::asio::use_awaitable, ec);
    std::string out;
    switch (s.what) {
      case step::kind::answer:
      case step::kind::answer_and_close:
      case step::kind::answer_early:
      case step::kind::answer_early_and_hang:
        out = "HTTP/1.1 " + std::to_string(s.status) + " Scripted\r\nContent-Type: application/x-protobuf\r\n" +
              s.headers + "Content-Length: " + std::to_string(s.body.size()) + "\r\n\r\n" + s.body;
        co_await boost::asio::async_write(stream, boost::asio::buffer(out), ignoring);
        if (s.what == step::kind::answer_early_and_hang) co_await hang();
        co_return s.what == step::kind::answer && !ec;
      case step::kind::raw_and_close:
      case step::kind::raw_and_hang:
        out = s.body;
        co_await boost::asio::async_write(stream, boost::asio::buffer(out), ignoring);
        if (s.what == step::kind::raw_and_hang) co_await hang();
        co_return false;
      case step::kind::endless:
        out = s.body;
        while (!ec) {
          co_await boost::asio::async_write(stream, boost::asio::buffer(out), ignoring);
          out = s.filler;
        }
        co_return false;
      case step::kind::drip: {
        out = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        boost::asio::steady_timer timer{io_};
        while (!ec) {
          co_await boost::asio::async_write(stream, boost::asio::buffer(out), ignoring);
          out = "\n";
          timer.expires_after(std::chrono::milliseconds{20});
          if (!ec) co_await timer.async_wait(ignoring);
        }
        co_return false;
      }
      case step::kind::close_after_request:
      case step::kind::close_at_once:
      case step::kind::never_read: co_return false;
    }
    co_return false;
  }

  boost::asio::awaitable<void> hang() {
    boost::asio::steady_timer never{io_, std::chrono::steady_clock::time_point::max()};
    co_await never.async_wait(boost::asio::use_awaitable);
  }

  step peek() const { return script_[std::min(next_, script_.size() - 1)]; }
  step take_step() {
    const step s = peek();
    ++next_;
    return s;
  }
  template <class Request>
  void note(const Request& request, std::size_t connection) {
    received_request r;
    r.connection = connection;
    r.method = std::string{request.method_string()};
    r.target = std::string{request.target()};
    for (const auto& field : request)
      r.headers.emplace_back(std::string{field.name_string()}, std::string{field.value()});
    r.body = request.body();
    r.at = std::chrono::steady_clock::now();
    const std::lock_guard lock{mutex_};
    requests_.push_back(std::move(r));
  }

  // The script belongs to the server's thread; the rest is shared under the mutex.
  std::vector<step> script_;
  std::size_t next_ = 0;
  accept_hook on_accept_;
  mutable std::mutex mutex_;
  std::vector<received_request> requests_;
  std::size_t connections_ = 0;
  std::size_t closed_at_once_ = 0;
  std::size_t open_ = 0;
  std::size_t most_open_ = 0;
  boost::asio::io_context io_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace otlpkit_test
