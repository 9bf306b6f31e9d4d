// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/asio/when.hpp>
#include <otlpkit/http/client.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <http/requests.hpp>
#include "support/metric_points.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace http_service;

namespace {

void record_metrics() {
  otlpkit::detail::global_runtime.mode.store(
      otlpkit::detail::mode_traces | otlpkit::detail::mode_parent_based | otlpkit::detail::mode_metrics,
      otlpkit::platform::release);
}

}  // namespace

TEST_CASE("requests one after the other use one connection, and an io_context with nothing else to do ends") {
  scripted_server server{{step{.body = "ok"}}};
  asio::io_context io;
  const http::client client{server.url("")};
  for (int i = 0; i < 5; ++i) CHECK(get(io, client, "/a") == "200");
  CHECK(post(io, client, "/b", "{}") == "200");
  CHECK(server.connections() == 1);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 6);
  CHECK(requests[5].header("Content-Type") == "application/json");
  CHECK(requests[5].header("Host") == "127.0.0.1:" + std::to_string(server.port()));
  client.close_idle();
  while (server.open() != 0) std::this_thread::yield();
  CHECK(get(io, client, "/a") == "200");
  CHECK(server.connections() == 2);
}

TEST_CASE("connections to a host are bounded, and requests beyond wait for one") {
  scripted_server server{{step{.body = "ok"}}};
  asio::io_context io;
  const http::client client{{.base_url = server.url(""), .max_connections_per_host = 3}};
  int good = 0;
  const auto all = [&]() -> asio::awaitable<void> {
    std::vector<asio::awaitable<http::response>> work;
    for (int i = 0; i < 40; ++i) work.push_back(client.get("/a"));
    const std::vector<http::response> answers = co_await otlpkit::when_all(std::move(work));
    for (const http::response& answer : answers) good += answer.result_int() == 200 ? 1 : 0;
  };
  CHECK(error_of(io, all) == "");
  CHECK(good == 40);
  CHECK(server.most_open() <= 3);
  CHECK(server.connections() <= 3);
}

TEST_CASE("whoever waits for a connection waits no longer than its time, and gives way to others") {
  support::recording recording;
  scripted_server server{{step{.what = kind::never_read}, step{.body = "ok"}}};
  asio::io_context io;
  const http::client client{{.base_url = server.url(""), .timeout = 10s, .max_connections_per_host = 1}};
  std::string first, second, third;
  const auto run = [&](std::string& out, std::optional<std::chrono::milliseconds> limit) -> asio::awaitable<void> {
    std::optional<otlpkit::deadline_scope> deadline;
    if (limit) deadline.emplace(*limit);
    try {
      const http::response answer = co_await client.get("/a");
      out = std::to_string(answer.result_int());
    } catch (const boost::system::system_error& e) {
      out = http::detail::error_name(e.code());
    }
  };
  const auto begin = std::chrono::steady_clock::now();
  CHECK(error_of(io, [&]() -> asio::awaitable<void> {
          co_await otlpkit::when_all(run(first, 150ms), run(second, 20ms), run(third, std::nullopt));
        }) == "");
  CHECK(first == "timeout");   // nobody answers
  CHECK(second == "timeout");  // nothing was free in its time
  CHECK(third == "200");       // had the place of the first
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("a request cancelled while it waits for a connection says so") {
  support::recording recording;
  scripted_server server{{step{.what = kind::never_read}}};
  asio::io_context io;
  const http::client client{{.base_url = server.url(""), .timeout = 5s, .max_connections_per_host = 1}};
  std::string waiting;
  const auto wait = [&]() -> asio::awaitable<void> {
    try {
      co_await client.get("/b");
    } catch (const boost::system::system_error& e) {
      waiting = http::detail::error_name(e.code());
    }
  };
  CHECK(error_of(io, [&]() -> asio::awaitable<void> {
          asio::steady_timer soon{io, 50ms};
          co_await otlpkit::when_any(client.get("/a"), wait(), soon.async_wait(asio::use_awaitable));
        }) == "");
  CHECK(waiting == http::detail::error_name(asio::error::operation_aborted));
}

TEST_CASE("an idle connection whose end waits behind other bytes cannot be used") {
  struct connection final : http::detail::client_connection {  // as over TLS
    explicit connection(asio::io_context& io) : client_connection{"h", 1}, stream{io} {}
    boost::beast::tcp_stream& tcp() noexcept override { return stream; }
    asio::awaitable<http::detail::error_code> handshake() override { co_return http::detail::error_code{}; }
    asio::awaitable<http::detail::exchange_result> exchange(http::request::message&,
                                                            const http::client_options&) override {
      co_return http::detail::exchange_result{};
    }
    [[nodiscard]] bool silent_when_idle() const noexcept override { return false; }
    boost::beast::tcp_stream stream;
  };
  asio::io_context io;
  asio::ip::tcp::acceptor door{io, {asio::ip::address_v4::loopback(), 0}};
  connection c{io};
  c.stream.socket().connect(door.local_endpoint());
  asio::ip::tcp::socket peer = door.accept();
  CHECK(c.usable());
  asio::write(peer, asio::buffer("ticket", 6));
  CHECK(c.usable());
  peer.shutdown(asio::ip::tcp::socket::shutdown_send);
  const auto until = std::chrono::steady_clock::now() + 5s;
  while (c.usable() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  CHECK_FALSE(c.usable());
}

TEST_CASE("a connection is not used again after its idle time, or when it must not be") {
  asio::io_context io;
  const auto connections = [&](step s, http::client_options options) {
    scripted_server server{{std::move(s)}};
    options.base_url = server.url("");
    const http::client client{options};
    for (int i = 0; i < 3; ++i) {
      CHECK(get(io, client, "/a") == "200");
      const auto past = std::chrono::steady_clock::now() + 2ms;
      while (std::chrono::steady_clock::now() < past) std::this_thread::yield();
    }
    return server.connections();
  };
  CHECK(connections({}, {}) == 1);
  CHECK(connections({}, {.idle_timeout = 0ms}) == 3);
  CHECK(connections({}, {.idle_timeout = 1ms}) == 3);
  CHECK(connections({.what = kind::answer_and_close, .headers = "Connection: close\r\n"}, {}) == 3);
  CHECK(connections({.what = kind::raw_and_close, .body = "HTTP/1.1 200 OK\r\n\r\nuntil the end"}, {}) == 3);
  CHECK(connections({.what = kind::raw_and_close, .body = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"}, {}) == 3);
  // What nobody asked for cannot be told from the next answer.
  CHECK(connections({.what = kind::raw_and_hang, .body = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200"},
                    {}) == 3);
}

TEST_CASE("a server that has closed an idle connection is not noticed") {
  support::recording recording;
  scripted_server server{{step{.what = kind::answer_and_close}}};
  asio::io_context io;
  const http::client client{server.url("")};
  for (std::size_t i = 1; i <= 3; ++i) {
    CHECK(get(io, client, "/a") == "200");
    while (server.open() != 0) std::this_thread::yield();
    CHECK(server.connections() == i);
  }
  for (const auto& s : recording.take()) CHECK_FALSE(s.is_error());
}

TEST_CASE("a request that meets a connection being closed is sent once more if that can do no harm") {
  support::recording recording;
  asio::io_context io;
  const auto second_request = [&](const std::string& method, std::vector<step> script) {
    script.insert(script.begin(), step{});
    scripted_server server{std::move(script)};
    const http::client client{server.url("")};
    CHECK(get(io, client, "/first") == "200");
    static_cast<void>(recording.take());
    std::string status;
    const std::string error = error_of(io, [&]() -> asio::awaitable<void> {
      http::request::message r;
      r.method_string(method);
      const http::response answer = co_await client.send(std::move(r), "/second");
      status = std::to_string(answer.result_int());
    });
    return error.empty() ? status : error;
  };
  const step cut{.what = kind::close_after_request};
  for (const char* method : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}) {
    CAPTURE(method);
    CHECK(second_request(method, {cut, step{}}) == "200");
    const auto spans = recording.take();
    REQUIRE(spans.size() == 2);  // one for each attempt
    CHECK((spans[0].is_error() && !spans[1].is_error()));
    CHECK(attribute(spans[0], "error.type") == "end_of_stream");
    CHECK(attribute(spans[0], "http.request.resend_count") == "(none)");
    CHECK(attribute(spans[1], "http.request.resend_count") == "1");
    CHECK(spans[0].span_id != spans[1].span_id);
  }
  CHECK(second_request("GET", {cut, cut, step{}}) == "end_of_stream");
  CHECK(recording.take().size() == 2);
  for (const char* method : {"POST", "PATCH", "BREW"}) {
    CAPTURE(method);
    CHECK(second_request(method, {cut, step{}}) == "end_of_stream");
    CHECK(recording.take().size() == 1);
  }
  // Something of an answer came: the server has served it.
  CHECK(second_request("GET", {step{.what = kind::raw_and_close, .body = "HTTP/1.1 200"}, step{}}) == "end_of_stream");
  // A new connection that is closed at once is no stale one.
  scripted_server refusing{{cut}};
  CHECK(get(io, http::client{refusing.url("")}, "/a") == "end_of_stream");
  CHECK(refusing.connections() == 1);
}

TEST_CASE("a client outlives io_contexts that go with connections in use and kept") {
  const http::client client{{.timeout = 5s}};
  scripted_server good{{step{}}};
  scripted_server silent{{step{.what = kind::never_read}}};
  for (int i = 0; i < 3; ++i) {
    asio::io_context io;
    CHECK(get(io, client, good.url("/a")) == "200");
    otlpkit::co_spawn(io, client.get(silent.url("/a")), [](std::exception_ptr, const http::response&) {});
    io.restart();
    while (silent.connections() != static_cast<std::size_t>(i) + 1) io.poll();
  }
  while (good.open() != 0) std::this_thread::yield();
  CHECK(good.connections() == 3);  // each io_context had its own
}

TEST_CASE("connections are counted while they are used and idle, and measured when they are closed") {
  support::recording recording;
  record_metrics();
  otlpkit::sdk::metric_reader reader;
  scripted_server server{{step{}}};
  asio::io_context io;
  const auto counts = [&reader] {
    const auto out = reader.collect(1);
    support::emitted_metrics(out);
    std::map<std::string, std::int64_t> by_state;
    for (const auto& p : metric_points::named(out, "http.client.open_connections").points) {
      CHECK(p.labels.at("server.address") == "127.0.0.1");
      by_state[p.labels.at("http.connection.state")] += p.integer;
    }
    return by_state;
  };
  {
    const http::client client{server.url("")};
    CHECK(get(io, client, "/a") == "200");
    CHECK(counts()["idle"] == 1);
    CHECK(counts()["active"] == 0);
    CHECK(get(io, client, "/a") == "200");
    CHECK(counts()["idle"] == 1);
  }
  CHECK(counts()["idle"] == 0);
  CHECK(counts()["active"] == 0);
  const auto out = reader.collect(1);
  support::emitted_metrics(out);
  const metric_points::metric closed = metric_points::named(out, "http.client.connection.duration");
  CHECK(closed.unit == "s");
  REQUIRE(closed.points.size() == 1);
  CHECK(closed.points[0].count == 1);
  CHECK(closed.points[0].bounds == std::vector<double>{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300});
}

TEST_CASE("idle connections may be closed while their io_context goes") {
  scripted_server server;
  for (int i = 0; i < 300; ++i) {
    const http::client client{server.url("")};
    auto io = std::make_unique<asio::io_context>();
    REQUIRE(get(*io, client, "/a") == "200");
    std::thread closer{[&client] { client.close_idle(); }};
    io.reset();
    closer.join();
  }
  while (server.open() != 0) std::this_thread::yield();
}
