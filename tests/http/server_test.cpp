// SPDX-License-Identifier: MIT
#include <otlpkit/http/client.hpp>
#include <otlpkit/http/server.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include "support/metric_points.hpp"
#include "support/span_recording.hpp"

#include <doctest/doctest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

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
            .header_timeout = 300ms,
            .body_timeout = 300ms,
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
      OTLPKIT_SPAN("inner");
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
    return all;
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

const otlpkit::testing::span_record& of_kind(const std::vector<otlpkit::testing::span_record>& spans,
                                             otlpkit::span_kind kind) {
  for (const auto& s : spans) {
    if (s.kind == static_cast<decltype(s.kind)>(kind)) return s;
  }
  throw std::runtime_error{"no span of this kind"};
}

std::string attribute(const otlpkit::testing::span_record& s, std::string_view key) {
  for (const auto& [k, v] : s.attributes) {
    if (k == key) return v.kind() == otlpkit::value_view::type::string ? v.as_string() : v.text();
  }
  return "(none)";
}

}  // namespace

TEST_CASE("a request gives a SERVER and a CLIENT span by the conventions, in one trace") {
  fixture f;
  const http::response answer = f.get("/products/a%20b?color=blue&sig=secret");
  CHECK((answer.result_int() == 200 && answer.body() == "product a b"));
  const auto spans = f.spans(2);
  const auto& server = of_kind(spans, otlpkit::span_kind::server);
  const auto& client = of_kind(spans, otlpkit::span_kind::client);
  CHECK(server.name == "GET /products/{id}");
  CHECK(client.name == "GET");
  CHECK((server.trace_id == client.trace_id && server.parent_id == client.span_id));
  const std::string port = std::to_string(f.at.port());
  for (const auto& [key, value] : std::map<std::string, std::string>{{"http.request.method", "GET"},
                                                                     {"url.path", "/products/a%20b"},
                                                                     {"url.query", "color=blue&sig=REDACTED"},
                                                                     {"url.scheme", "http"},
                                                                     {"http.route", "/products/{id}"},
                                                                     {"http.response.status_code", "200"},
                                                                     {"server.address", "127.0.0.1"},
                                                                     {"server.port", port},
                                                                     {"client.address", "127.0.0.1"},
                                                                     {"network.peer.address", "127.0.0.1"},
                                                                     {"network.protocol.version", "1.1"},
                                                                     {"error.type", "(none)"}}) {
    CAPTURE(key);
    CHECK(attribute(server, key) == value);
  }
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"http.request.method", "GET"},
                                          {"url.full", f.url("/products/a%20b?color=blue&sig=REDACTED")},
                                          {"server.address", "127.0.0.1"},
                                          {"server.port", port},
                                          {"http.response.status_code", "200"},
                                          {"network.protocol.version", "1.1"},
                                          {"network.peer.port", port},
                                          {"error.type", "(none)"}}) {
    CAPTURE(key);
    CHECK(attribute(client, key) == value);
  }
  CHECK(attribute(server, "http.response.header.x-answer") == attribute(client, "http.response.header.x-answer"));
  CHECK(attribute(server, "http.response.header.x-answer") != "(none)");
  CHECK(attribute(server, "http.request.header.x-tenant") == "(none)");
}

TEST_CASE("statuses, exceptions and unknown methods become what the conventions say") {
  fixture f;
  const auto check = [&f](const std::string& path, const char* server_error, const char* client_error,
                          bool server_failed, bool client_failed) {
    CAPTURE(path);
    static_cast<void>(f.get(path));
    const auto spans = f.spans(2);
    const auto& server = of_kind(spans, otlpkit::span_kind::server);
    const auto& client = of_kind(spans, otlpkit::span_kind::client);
    CHECK(attribute(server, "error.type") == server_error);
    CHECK(attribute(client, "error.type") == client_error);
    CHECK(server.is_error() == server_failed);
    CHECK(client.is_error() == client_failed);
  };
  check("/status/200", "(none)", "(none)", false, false);
  check("/status/302", "(none)", "(none)", false, false);
  check("/status/404", "(none)", "404", false, true);
  check("/status/503", "503", "503", true, true);
  check("/fail", "std::runtime_error", "500", true, true);
  check("/nowhere", "(none)", "404", false, true);

  CHECK(f.status("BREW /products/1 HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\nX-Forwarded-For: 9.8.7.6\r\n"
                 "X-Forwarded-Proto: https\r\nX-Tenant: t1\r\n\r\n") == "HTTP/1.1 405 Method Not Allowed");
  const auto spans = f.spans(1);
  CHECK(spans[0].name == "HTTP /products/{id}");
  CHECK(attribute(spans[0], "http.request.method") == "_OTHER");
  CHECK(attribute(spans[0], "http.request.method_original") == "BREW");
  CHECK(attribute(spans[0], "client.address") == "9.8.7.6");
  CHECK(attribute(spans[0], "url.scheme") == "https");
  CHECK(attribute(spans[0], "server.address") == "a.example");
  CHECK(attribute(spans[0], "server.port") == "81");
  CHECK(attribute(spans[0], "http.request.header.x-tenant").find("t1") != std::string::npos);
}

TEST_CASE("trace, baggage and deadline go through a service to the next") {
  fixture f;
  const std::string answer =
      f.talk("GET /relay HTTP/1.1\r\nHost: x\r\nConnection: close\r\ntraceparent: " + std::string{parent} +
             "\r\nbaggage: user=u1\r\ntracestate: a=1\r\ntracestate: b=2\r\notlpkit-timeout-ms: 5000\r\n\r\n");
  const auto spans = f.spans(4);
  for (const auto& s : spans) CHECK(s.trace_id == "0af7651916cd43dd8448eb211c80319c");
  CHECK(answer.find("traceparent: 00-0af7651916cd43dd8448eb211c80319c-") != std::string::npos);
  CHECK(answer.find("tracestate: a=1,b=2") != std::string::npos);
  CHECK(answer.find("baggage: user=u1,hop=1") != std::string::npos);
  CHECK(answer.find("otlpkit-timeout-ms: ") != std::string::npos);
  CHECK(answer.find("left 1") != std::string::npos);
  std::map<std::string, std::string> parents;
  for (const auto& s : spans) parents[s.name] = s.parent_id;
  CHECK(parents.at("GET /relay") == "b7ad6b7169203331");
}

TEST_CASE("a deadline that has passed fails before anything is sent, and a closed port by its name") {
  fixture f;
  const auto error_of = [&f](auto&& work) {
    try {
      asio::co_spawn(f.io, work, asio::use_future).get();
    } catch (const boost::system::system_error&) {
    }
    return attribute(f.spans(1)[0], "error.type");
  };
  CHECK(error_of([&f]() -> asio::awaitable<void> {
          const otlpkit::deadline_scope over{0ms};
          static_cast<void>(co_await f.client.get(f.url("/seen")));
        }) == "timeout");
  tcp::acceptor closed{f.raw, {asio::ip::address_v4::loopback(), 0}};
  const std::string url = "http://127.0.0.1:" + std::to_string(closed.local_endpoint().port());
  closed.close();
  CHECK(error_of([&]() -> asio::awaitable<void> { static_cast<void>(co_await f.client.get(url)); }) ==
        "connection_refused");
  CHECK_THROWS_AS(asio::co_spawn(f.io, f.client.get("https://127.0.0.1/"), asio::use_future).get(),
                  otlpkit::config_error);
}

TEST_CASE("malformed requests get a clear 4xx, and others are served meanwhile") {
  fixture f;
  const std::string host = "\r\nHost: x\r\n";
  CHECK(f.status("nonsense\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("GET / HTTP/9.9" + host + "\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("GET /a b HTTP/1.1" + host + "\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("GET / HTTP/1.1\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("GET / HTTP/1.1" + host + "Host: y\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("GET / HTTP/1.1" + host + "Bad Name: y\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("POST /echo HTTP/1.1" + host + "Content-Length: x\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("POST /echo HTTP/1.1" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n") ==
        "HTTP/1.1 400 Bad Request");
  CHECK(f.status("POST /echo HTTP/1.1" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n") ==
        "HTTP/1.1 400 Bad Request");
  CHECK(f.status(std::string("GET /\0 HTTP/1.1", 16) + host + "\r\n") == "HTTP/1.1 400 Bad Request");
  CHECK(f.status("POST /echo HTTP/1.1" + host + "Content-Length: 10001\r\n\r\n") == "HTTP/1.1 413 Payload Too Large");
  CHECK(f.status("POST /echo HTTP/1.1" + host + "Transfer-Encoding: chunked\r\n\r\n4000\r\n" +
                 std::string(0x4000, 'x')) == "HTTP/1.1 413 Payload Too Large");
  CHECK(f.status("GET / HTTP/1.1" + host + "X: " + std::string(5000, 'x') + "\r\n\r\n") ==
        "HTTP/1.1 431 Request Header Fields Too Large");
  std::string flood = "GET / HTTP/1.1" + host;
  while (flood.size() < 2'000'000) flood += "X-Flood: 1\r\n";
  CHECK(f.status(flood).starts_with("HTTP/1.1 431"));
  CHECK(f.talk("GET /products/1 HTTP/1.1\r\nHo", true).empty());
  CHECK(f.get("/products/1").result_int() == 200);
  const auto spans = f.spans(14);
  const auto rejected = std::ranges::find(spans, "HTTP", &otlpkit::testing::span_record::name);
  REQUIRE(rejected != spans.end());
  CHECK(attribute(*rejected, "http.response.status_code").starts_with("4"));
  CHECK(attribute(*rejected, "error.type") == "(none)");
}

TEST_CASE("half-open and slow clients are cut at the deadline, and others are served meanwhile") {
  fixture f;
  std::vector<tcp::socket> slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(f.connect());
    if (i % 3 == 1) asio::write(slow.back(), asio::buffer(std::string_view{"GET /products/1 HTTP/1.1\r\nHost: x\r\n"}));
    if (i % 3 == 2) {
      asio::write(slow.back(),
                  asio::buffer(std::string_view{"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"}));
    }
  }
  for (int i = 0; i < 20; ++i) CHECK(f.get("/products/1").result_int() == 200);
  for (std::size_t i = 0; i < slow.size(); ++i) {
    std::string answer;
    boost::system::error_code e;
    asio::read(slow[i], asio::dynamic_buffer(answer), e);
    CHECK(answer.empty());
    CHECK(e);
  }
}

TEST_CASE("a client that sends a byte now and then does not live longer") {
  fixture f;
  tcp::socket s = f.connect();
  const auto begin = std::chrono::steady_clock::now();
  boost::system::error_code e;
  asio::steady_timer pace{f.raw};
  while (!e && std::chrono::steady_clock::now() - begin < 5s) {
    asio::write(s, asio::buffer("G", 1), e);
    pace.expires_after(20ms);
    pace.wait();
  }
  CHECK(e);
  CHECK(std::chrono::steady_clock::now() - begin < 4s);
}

TEST_CASE("more connections than allowed are told so at once") {
  http::server_options options = fixture::quick();
  options.max_connections = 2;
  options.header_timeout = options.idle_timeout = 5s;
  fixture f{options};
  tcp::socket a = f.connect();
  tcp::socket b = f.connect();
  while (f.server.connections() != 2) std::this_thread::yield();
  CHECK(f.status("").starts_with("HTTP/1.1 503"));
  a.close();
  while (f.server.connections() != 1) std::this_thread::yield();
  CHECK(f.get("/products/1").result_int() == 200);
}

TEST_CASE("connections are kept alive and pipelined, HEAD has no body, and Expect is answered") {
  fixture f;
  const std::string answer = f.talk(
      "GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /products/22 HTTP/1.1\r\nHost: x\r\n\r\n"
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
  CHECK(answer.find("product 1HTTP/1.1 200 OK") != std::string::npos);
  CHECK(answer.find("Content-Length: 10\r\n") != std::string::npos);
  CHECK(answer.find("product 22") == std::string::npos);
  CHECK(answer.find("HTTP/1.1 100 Continue") != std::string::npos);
  CHECK(answer.ends_with("\r\n\r\nabc"));
  CHECK(f.talk("GET /products/1 HTTP/1.0\r\n\r\n").starts_with("HTTP/1.0 200 OK"));
}

TEST_CASE("a server that stops lets requests finish, cuts idle connections, and takes no more") {
  fixture f;
  tcp::socket idle = f.connect();
  auto waited = asio::co_spawn(f.io, f.client.get(f.url("/wait")), asio::use_future);
  while (f.waiting.load() == 0) std::this_thread::yield();
  auto stopped = asio::co_spawn(f.io, f.server.stop(5s), asio::use_future);
  std::string nothing;
  boost::system::error_code e;
  asio::read(idle, asio::dynamic_buffer(nothing), e);
  CHECK(nothing.empty());
  f.hold.open();
  CHECK(waited.get().body() == "waited");
  CHECK(stopped.get());
  tcp::socket late{f.raw};
  CHECK((late.connect(f.at, e), e));
}

TEST_CASE("a server that stops cuts what takes longer than it may") {
  fixture f;
  auto waited = asio::co_spawn(f.io, f.client.get(f.url("/wait")), asio::use_future);
  while (f.waiting.load() == 0) std::this_thread::yield();
  CHECK_FALSE(asio::co_spawn(f.io, f.server.stop(50ms), asio::use_future).get());
  CHECK_THROWS_AS(waited.get(), boost::system::system_error);
  f.hold.open();
}

TEST_CASE("durations, sizes and active requests are measured") {
  otlpkit::sdk::metric_reader reader;
  fixture f;
  static_cast<void>(f.get("/products/1"));
  static_cast<void>(f.get("/status/500"));
  static_cast<void>(f.spans(4));
  const auto out = reader.collect(1);
  for (const char* name : {"http.server.request.duration", "http.client.request.duration"}) {
    const metric_points::metric m = metric_points::named(out, name);
    CHECK(m.unit == "s");
    REQUIRE(!m.points.empty());
    CHECK(m.points[0].bounds ==
          std::vector<double>{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10});
    bool failed = false;
    for (const auto& p : m.points) {
      CHECK(p.labels.contains("http.request.method"));
      CHECK_FALSE(p.labels.contains("http.request.method_original"));
      failed = failed || (p.labels.contains("error.type") && p.labels.at("error.type") == "500" &&
                          p.labels.at("http.response.status_code") == "500");
    }
    CHECK(failed);
  }
  bool routed = false;
  for (const auto& p : metric_points::named(out, "http.server.request.duration").points) {
    routed = routed || (p.labels.contains("http.route") && p.labels.at("http.route") == "/products/{id}");
  }
  CHECK(routed);
  for (const char* name : {"http.server.active_requests", "http.client.active_requests"}) {
    const metric_points::metric active = metric_points::named(out, name);
    std::int64_t sum = 0;
    for (const auto& p : active.points) sum += p.integer;
    CHECK(sum == 0);
  }
  CHECK(metric_points::named(out, "http.server.response.body.size").unit == "By");
}
