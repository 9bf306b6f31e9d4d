// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/asio/when.hpp>
#include <otlpkit/http/blocking_client.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include "support/http_service.hpp"
#include "support/metric_points.hpp"
#include "support/scripted_server.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace http_service;
using otlpkit_test::scripted_server;
using otlpkit_test::step;
using kind = otlpkit_test::step::kind;

namespace {

/// Runs `work` to its end, and says what went wrong with it.
template <class Work>
std::string error_of(asio::io_context& io, Work work) {
  std::string out;
  otlpkit::co_spawn(io, std::move(work), [&out](std::exception_ptr e) {
    try {
      if (e) std::rethrow_exception(e);
    } catch (const boost::system::system_error& x) {
      out = http::detail::error_name(x.code());
    } catch (const std::exception& x) {
      out = x.what();
    }
  });
  io.restart();
  io.run();
  return out;
}

/// The status of a GET, or what went wrong.
std::string get(asio::io_context& io, const http::client& client, const std::string& url) {
  std::string status;
  const std::string error = error_of(io, [&]() -> asio::awaitable<void> {
    const http::response answer = co_await client.get(url);
    status = std::to_string(answer.result_int());
  });
  return error.empty() ? status : error;
}

std::string post(asio::io_context& io, const http::client& client, const std::string& url, const std::string& body) {
  std::string status;
  const std::string error = error_of(io, [&]() -> asio::awaitable<void> {
    const http::response answer = co_await client.post(url, body);
    status = std::to_string(answer.result_int());
  });
  return error.empty() ? status : error;
}

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
  const http::client client{{.base_url = server.url(""), .timeout = 300ms, .max_connections_per_host = 1}};
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

TEST_CASE("interim responses are passed over, and an answer that comes before all was sent is an answer") {
  asio::io_context io;
  scripted_server interim{{step{.what = kind::raw_and_close,
                                .body = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                                        "HTTP/1.1 204 No Content\r\n\r\n"}}};
  CHECK(get(io, http::client{interim.url("")}, "/a") == "204");
  scripted_server early{{step{.what = kind::answer_early_and_hang, .status = 413, .body = "too much"}}};
  const http::client client{{.base_url = early.url(""), .timeout = 5s}};
  CHECK(post(io, client, "/a", std::string(1000, 'x')) == "413");
}

TEST_CASE("what a server sends is bounded in bytes and in time") {
  support::recording recording;
  asio::io_context io;
  const auto result = [&](step s, std::uint64_t most = 1000) {
    scripted_server server{{std::move(s)}};
    const http::client client{
        {.base_url = server.url(""), .timeout = 200ms, .max_header_bytes = 1000, .max_body_bytes = most}};
    return get(io, client, "/a");
  };
  CHECK(result({.body = std::string(1000, 'x')}) == "200");
  CHECK(result({.body = std::string(1001, 'x')}) == "body_limit");
  CHECK(result({.headers = "X: " + std::string(1000, 'x') + "\r\n"}).starts_with("beast.http"));
  CHECK(result({.what = kind::endless, .body = "HTTP/1.1 200 OK\r\n\r\n", .filler = "x"}) == "body_limit");
  CHECK(result({.what = kind::raw_and_close, .body = "nonsense\r\n\r\n"}).starts_with("beast.http"));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(result({.what = kind::drip}, 2'000'000) == "timeout");
  CHECK(result({.what = kind::never_read}) == "timeout");
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("a deadline cuts the timeout of a call below it, and a cancelled call is no error") {
  support::recording recording;
  scripted_server server{{step{.what = kind::never_read}}};
  asio::io_context io;
  const http::client client{{.base_url = server.url(""), .timeout = 60s}};
  const auto begin = std::chrono::steady_clock::now();
  CHECK(error_of(io, [&]() -> asio::awaitable<void> {
          const otlpkit::deadline_scope deadline{50ms};
          const http::response unused = co_await client.get("/a");
        }) == "timeout");
  CHECK(attribute(recording.take_one(), "error.type") == "timeout");
  bool in_time = false;
  const auto nothing = []() -> asio::awaitable<void> { co_await asio::post(asio::use_awaitable); };
  CHECK(error_of(io, [&]() -> asio::awaitable<void> {
          const auto first = co_await otlpkit::when_any(client.get("/a"), nothing());
          in_time = first.index() == 1;
        }) == "");
  CHECK(in_time);
  CHECK_FALSE(recording.take_one().is_error());
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("names are looked up, and one that is unknown is told by its name") {
  asio::io_context io;
  const http::client client{{.timeout = 2s}};
  scripted_server server{{step{}}};
  CHECK(get(io, client, "http://LocalHost:" + std::to_string(server.port()) + "/") == "200");
  const std::string unknown = get(io, client, "http://no-such-name.invalid/");
  CHECK((unknown == "host_not_found" || unknown == "timeout"));  // where there is no name server
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

TEST_CASE("without coroutines the calling thread waits, under its own span, and threads do not wait for each other") {
  support::recording recording;
  scripted_server server{{step{.body = "ok"}}};
  http::blocking_client client{server.url("")};
  {
    OTLPKIT_SPAN("caller");
    const auto answer = client.post("/charge", R"({"amount":1})");
    CHECK((answer.result_int() == 200 && answer.body() == "ok"));
  }
  const auto spans = recording.take();
  REQUIRE(spans.size() == 2);
  CHECK((spans[0].name == "POST" && spans[0].parent_id == spans[1].span_id));
  CHECK(client.get("/a").body() == "ok");
  CHECK(client.put("/a", "{}").body() == "ok");
  CHECK(client.del("/a").body() == "ok");
  CHECK(server.connections() == 1);
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) good += client.get("/a").result_int() == 200 ? 1 : 0;
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(good == 100);
  CHECK(server.connections() <= 5);
  http::blocking_client nobody{"http://127.0.0.1:1"};
  CHECK_THROWS_AS(nobody.get("/a"), boost::system::system_error);
  CHECK_THROWS_AS(nobody.get("nonsense"), otlpkit::config_error);
}

TEST_CASE("options and URLs that cannot be used are refused by name") {
  asio::io_context io;
  CHECK_THROWS_WITH(http::client{{.timeout = 0ms}}, "timeout: got 0, expected a number above zero");
  CHECK_THROWS_AS((http::client{{.max_connections_per_host = 0}}), otlpkit::config_error);
  CHECK_THROWS_AS((http::client{{.max_header_bytes = 0}}), otlpkit::config_error);
  CHECK_THROWS_AS((http::client{{.idle_timeout = -1ms}}), otlpkit::config_error);
  const http::client client;
  CHECK(get(io, client, "/path").starts_with("url: got \"/path\", expected a URL that starts with http://"));
  for (const char* url : {"ftp://u:secret@x/", "u:secret@x/p", "ftp://x/?X-Amz-Signature=secret"}) {
    const std::string why = get(io, client, url);
    CHECK(why.starts_with("url: got "));
    CHECK(why.find("secret") == std::string::npos);
  }
  CHECK(get(io, client, "https://127.0.0.1/").find("otlpkit/http/tls.hpp") != std::string::npos);
  CHECK_THROWS_AS((http::client{{.tls = {.certificate = "x.pem"}}}), otlpkit::config_error);
  CHECK_THROWS_AS((http::server{io.get_executor(), {}, {.tls = {.certificate = "x.pem", .key = "x.key"}}}),
                  otlpkit::config_error);
}
