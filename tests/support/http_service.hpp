// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/client.hpp>
#include <otlpkit/http/server.hpp>

#include "support/emitted.hpp"
#include "support/span_recording.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

/// A service over real sockets, its client, and a socket to talk to it by hand.
namespace http_service {

namespace asio = boost::asio;
namespace http = otlpkit::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr const char* parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Releases what waits for it. For handlers that must still run when something happens.
struct gate {
  explicit gate(const asio::any_io_executor& ex) : timer{ex, asio::steady_timer::time_point::max()} {}
  asio::awaitable<void> wait() { co_await timer.async_wait(asio::as_tuple(asio::use_awaitable)); }
  void open() {
    asio::post(timer.get_executor(), [this] { timer.cancel(); });
  }
  asio::steady_timer timer;
};

struct fixture {
  explicit fixture(http::server_options options = quick()) : server{io.get_executor(), routes(), std::move(options)} {
    otlpkit::detail::global_runtime.mode.store(
        otlpkit::detail::mode_traces | otlpkit::detail::mode_parent_based | otlpkit::detail::mode_metrics,
        otlpkit::platform::release);
    at = server.listen({asio::ip::address_v4::loopback(), 0});
    for (std::thread& t : threads) t = std::thread{[this] { io.run(); }};
  }
  ~fixture() {
    asio::co_spawn(io, server.stop(2s), asio::use_future).get();
    work.reset();
    for (std::thread& t : threads) t.join();
  }

  static http::server_options quick() {
    return {.max_header_bytes = 4096,
            .max_body_bytes = 10'000,
            .header_timeout = 1s,
            .body_timeout = 1s,
            .idle_timeout = 300ms,
            .capture = {.request_headers = {"X-Tenant"}, .response_headers = {"X-Answer"}}};
  }

  http::router routes() {
    http::router r;
    r.get("/products/{id}", [](http::request& q) -> asio::awaitable<http::response> {
      http::response answer = http::reply(200, "product " + std::string{q.parameter("id")});
      answer.set("X-Answer", "yes");
      co_return answer;
    });
    r.post("/echo", [](http::request& q) -> asio::awaitable<http::response> { co_return http::reply(200, q.body()); });
    r.get("/fail", [](http::request&) -> asio::awaitable<http::response> {
      throw std::runtime_error{"out of stock"};
      co_return http::response{};
    });
    r.get("/status/{code}", [](http::request& q) -> asio::awaitable<http::response> {
      co_return http::reply(static_cast<unsigned>(std::stoi(std::string{q.parameter("code")})));
    });
    r.get("/relay", [this](http::request&) -> asio::awaitable<http::response> {
      OTLPKIT_SPAN("caller");
      const otlpkit::baggage_scope with{otlpkit::current_baggage().with("hop", "1")};
      co_return co_await client.get(url("/seen?sig=secret"), "/seen");
    });
    r.get("/seen", [](http::request& q) -> asio::awaitable<http::response> {
      std::string all;
      for (const auto& f : q) all.append(f.name_string()).append(": ").append(f.value()).append("\n");
      all += "left " + std::to_string(otlpkit::time_left().has_value() && *otlpkit::time_left() <= 5s);
      co_return http::reply(200, all);
    });
    r.get("/wait", [this](http::request&) -> asio::awaitable<http::response> {
      ++waiting;
      co_await hold.wait();
      co_return http::reply(200, "waited");
    });
    return r;
  }

  [[nodiscard]] std::string url(std::string_view path) const {
    return "http://127.0.0.1:" + std::to_string(at.port()) + std::string{path};
  }

  http::response get(const std::string& path) {
    return asio::co_spawn(io, client.get(url(path), ""), asio::use_future).get();
  }

  /// Whether a request fails with this. The error stays on the thread that has it: ThreadSanitizer does not see
  /// libstdc++ count who still holds an exception.
  template <class Error>
  std::future<bool> fails(std::string target) {
    return asio::co_spawn(io, failing<Error>(std::move(target)), asio::use_future);
  }

  [[nodiscard]] tcp::socket connect() {
    tcp::socket s{raw};
    s.connect(at);
    return s;
  }

  /// Everything the server answers to these bytes, until it closes.
  std::string talk(std::string_view bytes, bool close_after = false) {
    tcp::socket s = connect();
    boost::system::error_code e;
    asio::write(s, asio::buffer(bytes), e);
    if (close_after) s.shutdown(tcp::socket::shutdown_send, e);
    std::string answer;
    asio::read(s, asio::dynamic_buffer(answer), e);
    return answer;
  }

  /// The first line of it.
  std::string status(std::string_view bytes) {
    const std::string answer = talk(bytes);
    return answer.substr(0, answer.find("\r\n"));
  }

  std::vector<otlpkit::testing::span_record> spans(std::size_t count) {
    std::vector<otlpkit::testing::span_record> all;
    while (all.size() < count) {
      for (auto& s : recording.take()) all.push_back(std::move(s));
      std::this_thread::yield();
    }
    support::emitted(all);
    return all;
  }

  template <class Error>
  asio::awaitable<bool> failing(std::string target) {
    try {
      static_cast<void>(co_await client.get(target));
    } catch (const Error&) {
      co_return true;
    }
    co_return false;
  }

  support::recording recording;
  asio::io_context io;
  asio::io_context raw;
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  http::client client{{.timeout = 5s, .capture = {.response_headers = {"x-answer"}}}};
  std::atomic<int> waiting{0};
  gate hold{asio::make_strand(io)};
  http::server server;
  tcp::endpoint at;
  std::thread threads[2];
};

inline const otlpkit::testing::span_record& of_kind(const std::vector<otlpkit::testing::span_record>& spans,
                                                    otlpkit::span_kind kind) {
  for (const auto& s : spans) {
    if (s.kind == static_cast<decltype(s.kind)>(kind)) return s;
  }
  throw std::runtime_error{"no span of this kind"};
}

inline std::string attribute(const otlpkit::testing::span_record& s, std::string_view key) {
  for (const auto& [k, v] : s.attributes) {
    if (k == key) return v.kind() == otlpkit::value_view::type::string ? v.as_string() : v.text();
  }
  return "(none)";
}

/// All of them, as text; arrays in brackets.
inline std::map<std::string, std::string> attributes(const otlpkit::testing::span_record& s) {
  std::map<std::string, std::string> out;
  for (const auto& [key, v] : s.attributes) {
    if (v.kind() != otlpkit::value_view::type::array) {
      out[key] = attribute(s, key);
      continue;
    }
    std::string& list = out[key] = "[";
    for (const auto& e : v.elements()) list.append(list.size() > 1 ? ", " : "").append(e.as_string());
    list += "]";
  }
  return out;
}

}  // namespace http_service
