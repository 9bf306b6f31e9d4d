// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/sdk/metric_reader.hpp>

#include "support/http_service.hpp"
#include "support/metric_points.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace http_service;

TEST_CASE("a request gives a SERVER and a CLIENT span by the conventions, in one trace, and no attribute beside them") {
  fixture f;
  const http::response answer =
      asio::co_spawn(f.io, f.client.get(f.url("/products/a%20b?color=blue&sig=secret#top"), "/products/{key}"),
                     asio::use_future)
          .get();
  CHECK((answer.result_int() == 200 && answer.body() == "product a b"));
  const auto spans = f.spans(2);
  const auto& server = of_kind(spans, otlpkit::span_kind::server);
  const auto& client = of_kind(spans, otlpkit::span_kind::client);
  CHECK(server.name == "GET /products/{id}");
  CHECK(client.name == "GET /products/{key}");
  CHECK((server.trace_id == client.trace_id && server.parent_id == client.span_id));
  CHECK((server.status == 0 && client.status == 0));
  const std::string port = std::to_string(f.at.port());
  using map = std::map<std::string, std::string>;
  auto of_server = attributes(server);
  CHECK(of_server["network.peer.port"] != port);  // the client's own, whatever it is
  of_server.erase("network.peer.port");
  CHECK(of_server == map{{"http.request.method", "GET"},
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
                         {"http.response.header.x-answer", "[yes]"}});
  CHECK(attributes(client) == map{{"http.request.method", "GET"},
                                  {"url.full", f.url("/products/a%20b?color=blue&sig=REDACTED#top")},
                                  {"url.template", "/products/{key}"},
                                  {"server.address", "127.0.0.1"},
                                  {"server.port", port},
                                  {"http.response.status_code", "200"},
                                  {"network.peer.address", "127.0.0.1"},
                                  {"network.peer.port", port},
                                  {"network.protocol.version", "1.1"},
                                  {"http.response.header.x-answer", "[yes]"}});
}

TEST_CASE("what the conventions ask of headers, proxies, versions and resent requests is on the spans") {
  fixture f;
  const auto served = [&f](std::string_view request) {
    REQUIRE(f.talk(request).starts_with("HTTP/1."));
    auto out = attributes(f.spans(1)[0]);
    out.erase("network.peer.port");
    return out;
  };
  auto seen = served(
      "GET /products/1? HTTP/1.0\r\nHost: shop.example\r\nUser-Agent: probe/1\r\nX-Tenant: a\r\nX-TENANT: b\r\n"
      "X-Secret: s\r\n\r\n");
  CHECK(seen["server.address"] == "shop.example");
  CHECK(seen["server.port"] == "80");
  CHECK(seen["user_agent.original"] == "probe/1");
  CHECK(seen["http.request.header.x-tenant"] == "[a, b]");
  CHECK(seen["network.protocol.version"] == "1.0");
  CHECK((!seen.contains("http.request.header.x-secret") && !seen.contains("url.query")));
  seen =
      served("GET http://u:p@absolute.example:8080/products/1?sig=s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(seen["server.address"] == "absolute.example");
  CHECK(seen["server.port"] == "8080");
  CHECK(seen["url.path"] == "/products/1");
  CHECK(seen["url.query"] == "sig=REDACTED");
  seen = served(
      "GET /products/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
      "Forwarded: for=\"[2001:db8::1]:99\";proto=https;host=front.example, for=9.9.9.9\r\n\r\n");
  CHECK(seen["client.address"] == "2001:db8::1");
  CHECK(seen["network.peer.address"] == "127.0.0.1");
  CHECK(seen["url.scheme"] == "https");
  CHECK(seen["server.address"] == "front.example");
  CHECK(seen["server.port"] == "443");
  seen = served("GET /nowhere/1 HTTP/1.1\r\nHost: [::1]:81\r\nConnection: close\r\n\r\n");
  CHECK((seen["server.address"] == "::1" && seen["server.port"] == "81"));
  CHECK((!seen.contains("http.route") && !seen.contains("error.type")));
  CHECK(seen["http.response.status_code"] == "404");

  const http::client client{
      {.capture = {.redacted_parameters = {"token"}, .request_headers = {"X-Sent", "traceparent"}},
       .methods = http::known_methods{std::vector<std::string>{"GET"}}}};
  http::request::message r;
  r.method_string("BREW");
  r.set("X-Sent", "1");
  static_cast<void>(
      asio::co_spawn(f.io, client.send(r, f.url("/products/1?token=t&sig=s"), "", 2), asio::use_future).get());
  const auto spans = f.spans(2);
  const auto& sent = of_kind(spans, otlpkit::span_kind::client);
  CHECK(sent.name == "HTTP");
  CHECK(attribute(sent, "http.request.method") == "_OTHER");
  CHECK(attribute(sent, "http.request.method_original") == "BREW");
  CHECK(attribute(sent, "http.request.resend_count") == "2");
  CHECK(attribute(sent, "url.full") == f.url("/products/1?token=REDACTED&sig=s"));
  CHECK(attributes(sent)["http.request.header.x-sent"] == "[1]");
  CHECK(attributes(sent)["http.request.header.traceparent"].find(sent.span_id) != std::string::npos);
}

TEST_CASE("a server that has no proxy in front believes nobody about who called") {
  http::server_options options = fixture::quick();
  options.trust_forwarded = false;
  fixture f{options};
  static_cast<void>(
      f.talk("GET /products/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nForwarded: for=1.2.3.4;proto=https;host=y\r\n"
             "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: y\r\n\r\n"));
  auto seen = attributes(f.spans(1)[0]);
  CHECK(seen["client.address"] == "127.0.0.1");
  CHECK(seen["url.scheme"] == "http");
  CHECK(seen["server.address"] == "x");
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
  CHECK(f.status("BREW /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == "HTTP/1.1 404 Not Found");
  CHECK(f.spans(1)[0].name == "HTTP");
}

TEST_CASE("a client's template is on its spans and in its metrics, behind HTTP where the method is not known") {
  otlpkit::sdk::metric_reader reader;
  fixture f;
  http::request::message brew{boost::beast::http::verb::get, "/", 11};
  brew.method_string("BREW");
  const auto refused =
      asio::co_spawn(f.io, f.client.send(std::move(brew), f.url("/products/1"), "/products/{id}"), asio::use_future);
  const auto echoed =
      asio::co_spawn(f.io, f.client.post(f.url("/echo"), "tea", "text/plain", "/{what}"), asio::use_future);
  const auto spans = f.spans(4);
  CHECK(std::any_of(spans.begin(), spans.end(), [](const auto& s) {
    return s.name == "HTTP /products/{id}" && attribute(s, "url.template") == "/products/{id}";
  }));
  const auto out = reader.collect(1);
  support::emitted_metrics(out);
  for (const char* name : {"http.client.request.duration", "http.client.active_requests",
                           "http.client.request.body.size", "http.client.response.body.size"}) {
    CAPTURE(name);
    CHECK(metric_points::by(metric_points::named(out, name), "url.template").contains("/{what}"));
  }
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

TEST_CASE("a client's deadline is at most what the server allows, and none if it is no number or none may be set") {
  const auto limited = [](fixture& f, const std::string& asked) {
    const std::string answer =
        f.talk("GET /seen HTTP/1.1\r\nHost: x\r\nConnection: close\r\notlpkit-timeout-ms: " + asked + "\r\n\r\n");
    REQUIRE(answer.starts_with("HTTP/1.1 200"));
    return answer.ends_with("left 1");  // 5 s or less
  };
  http::server_options options = fixture::quick();
  options.max_deadline = 4s;
  {
    fixture f{options};
    for (const char* asked : {"0", "3000", "3600000"}) CHECK(limited(f, asked));
    for (const char* asked : {"", "-1", "+1", "1e3", "1 ", "0x1", "soon", "99999999999999"}) {
      CAPTURE(asked);
      CHECK(limited(f, asked) == (std::string_view{asked} == "1 "));  // space around a value is not part of it
    }
  }
  options.max_deadline = 0s;
  fixture f{options};
  CHECK_FALSE(limited(f, "3000"));
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
  CHECK(f.fails<otlpkit::config_error>("https://127.0.0.1/").get());
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
  CHECK(f.talk("POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
            .starts_with("HTTP/1.0 200"));
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
  auto failed = f.fails<boost::system::system_error>(f.url("/wait"));
  while (f.waiting.load() == 0) std::this_thread::yield();
  CHECK_FALSE(asio::co_spawn(f.io, f.server.stop(50ms), asio::use_future).get());
  CHECK(failed.get());
  f.hold.open();
}

TEST_CASE("durations, sizes and active requests are measured") {
  otlpkit::sdk::metric_reader reader;
  fixture f;
  static_cast<void>(f.get("/products/1"));
  static_cast<void>(f.get("/status/500"));
  static_cast<void>(f.spans(4));
  const auto out = reader.collect(1);
  support::emitted_metrics(out);
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
