// SPDX-License-Identifier: MIT
// What the exporter makes of an answer, or of none: taken, refused for good, or to be tried again.
#include <export/faulty_server.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <ctime>
#include <string>

using namespace otlpkit_test;

namespace {

/// A port nobody listens on: bound and given back.
std::uint16_t closed_port() {
  boost::asio::io_context io;
  const boost::asio::ip::tcp::acceptor a{io, {boost::asio::ip::address_v4::loopback(), 0}};
  return a.local_endpoint().port();
}

std::string http_date(std::time_t when) {
  char text[64];
  std::tm parts{};
  gmtime_r(&when, &parts);
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

}  // namespace

TEST_CASE("a server that is down: retried until the timeout leaves no time, then unreachable") {
  export_client client{
      {.url = "http://127.0.0.1:" + std::to_string(closed_port()) + "/", .timeout = 200ms, .retry = quick}};
  const auto end = export_one(client);
  CHECK(end.result.dropped == 3);
  CHECK(end.result.reason == drop_reason::unreachable);
  CHECK(end.took < 200ms + margin);
  CHECK(client.counters().retries >= 3);
  CHECK(told(client, "cannot connect"));
}

TEST_CASE("a server that comes back in time gets the batch") {
  scripted_server server{
      {step{.what = kind::close_at_once}, step{.what = kind::close_after_request}, step{.status = 503}, step{}}};
  export_client client{to(server)};
  const auto end = export_one(client);
  CHECK(end.result.dropped == 0);
  CHECK(client.counters().retries == 3);
  const auto requests = server.requests();
  CHECK(requests.size() == 3);
  CHECK(requests.front().body == requests.back().body);
}

TEST_CASE("every status that must not be retried ends the export at once, whatever Retry-After says") {
  for (const unsigned status :
       {300U, 301U, 302U, 307U, 308U, 400U, 401U, 403U, 404U, 405U, 408U, 413U, 415U, 418U, 500U, 501U, 505U}) {
    for (const char* headers : {"", "Retry-After: 0\r\n"}) {
      CAPTURE(status);
      scripted_server server{{step{.status = status, .headers = headers}}};
      export_client client{to(server)};
      const auto end = export_one(client);
      CHECK(end.result.dropped == 3);
      CHECK(end.result.reason == drop_reason::rejected);
      CHECK(server.requests().size() == 1);
      CHECK(client.counters().retries == 0);
      CHECK(told(client, std::to_string(status)));
    }
  }
}

TEST_CASE("every retryable status is retried until it is taken") {
  for (const unsigned status : {429U, 502U, 503U, 504U}) {
    for (const char* headers :
         {"", "Retry-After: 0\r\n", "Retry-After: soon\r\n", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"}) {
      CAPTURE(status);
      CAPTURE(headers);
      scripted_server server{{step{.status = status, .headers = headers}, step{}}};
      export_client client{to(server)};
      CHECK(export_one(client).result.dropped == 0);
      CHECK(server.requests().size() == 2);
      CHECK(client.counters().retries == 1);
    }
  }
}

TEST_CASE("every retryable status that stays is unreachable when the time is up") {
  for (const unsigned status : {429U, 502U, 503U, 504U}) {
    CAPTURE(status);
    scripted_server server{{step{.status = status}}};
    export_client client{to(server, 100ms)};
    const auto end = export_one(client);
    CHECK(end.result.reason == drop_reason::unreachable);
    CHECK(end.result.dropped == 3);
    CHECK(end.took < 100ms + margin);
    CHECK(told(client, std::to_string(status)));
  }
}

TEST_CASE("every 2xx is a success") {
  for (const unsigned status : {200U, 201U, 202U, 206U}) {
    scripted_server server{{step{.status = status}}};
    export_client client{to(server)};
    CHECK(export_one(client).result.dropped == 0);
  }
  scripted_server server{{step{.what = kind::raw_and_close, .body = "HTTP/1.1 204 No Content\r\n\r\n"}}};
  export_client client{to(server)};
  CHECK(export_one(client).result.dropped == 0);
}

TEST_CASE("Retry-After in seconds and as a date is waited for") {
  scripted_server seconds{{step{.status = 429, .headers = "Retry-After: 1\r\n"}, step{}}};
  scripted_server date{
      {step{.status = 503, .headers = "Retry-After: " + http_date(std::time(nullptr) + 2) + "\r\n"}, step{}}};
  export_client first{to(seconds)};
  export_client second{to(date)};
  const auto start = steady_clock::now();
  const auto b = second.send();
  const auto end = export_one(first);
  CHECK(end.result.dropped == 0);
  CHECK(end.took >= 1s);
  CHECK(end.took < 1s + margin);
  REQUIRE(second.finish(b));
  CHECK(b->result.dropped == 0);
  CHECK(steady_clock::now() - start >= 900ms);
}

TEST_CASE("a Retry-After longer than the timeout leaves ends the export at once and says so") {
  for (const std::string& wait : {std::string{"3600"}, http_date(std::time(nullptr) + 3600), std::string(300, '9')}) {
    scripted_server server{{step{.status = 503, .headers = "Retry-After: " + wait + "\r\n"}}};
    export_client client{to(server)};
    const auto end = export_one(client);
    CHECK(end.result.reason == drop_reason::unreachable);
    CHECK(end.took < 1s);
    CHECK(server.requests().size() == 1);
    CHECK(told(client, "to be retried after"));
  }
}

TEST_CASE("a server that keeps saying Retry-After zero is not hammered") {
  scripted_server server{{step{.status = 503, .headers = "Retry-After: 0\r\n"}}};
  export_client client{
      {.url = server.url(), .timeout = 300ms, .retry = {.initial_backoff = 50ms, .max_backoff = 50ms}}};
  CHECK(export_one(client).result.reason == drop_reason::unreachable);
  CHECK(server.requests().size() <= 14);
}

TEST_CASE("partial success counts what was refused, and is not retried") {
  scripted_server server{{step{.body = std::string("\x0a\x07\x08\x02\x12\x03"
                                                   "bad",
                                                   9)}}};
  export_client client{to(server)};
  const auto end = export_one(client);
  CHECK(end.result.dropped == 2);
  CHECK(end.result.reason == drop_reason::rejected);
  CHECK(client.counters().delivered == 1);
  CHECK(server.requests().size() == 1);
  CHECK(told(client, "bad"));
}

TEST_CASE("more refused than sent is all, less than none is none") {
  scripted_server many{{step{.body = std::string("\x0a\x02\x08\x64", 4)}}};
  export_client first{to(many)};
  CHECK(export_one(first).result.dropped == 3);
  scripted_server negative{{step{.body = std::string("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13)}}};
  export_client second{to(negative)};
  CHECK(export_one(second).result.dropped == 0);
}

TEST_CASE("a warning with nothing refused is a success that is told") {
  scripted_server server{{step{.body = std::string("\x0a\x06\x12\x04slow", 8)}}};
  export_client client{to(server)};
  CHECK(export_one(client).result.dropped == 0);
  CHECK(told(client, "slow"));
}

TEST_CASE("a success with a body that cannot be read is a success") {
  for (const step& s : {step{.body = "<html>hello</html>"}, step{.body = "{}"}, step{.body = std::string(3000, '\xff')},
                        step{.headers = "Content-Encoding: gzip\r\n", .body = std::string("\x0a\x02\x08\x03", 4)}}) {
    scripted_server server{{s}};
    export_client client{to(server)};
    CHECK(export_one(client).result.dropped == 0);
  }
}

TEST_CASE("a redirect is not followed, and its target is told") {
  scripted_server server{{step{.status = 307, .headers = "Location: http://elsewhere/v1\r\n"}}};
  export_client client{to(server)};
  const auto end = export_one(client);
  CHECK(end.result.reason == drop_reason::rejected);
  CHECK(told(client, "307 Scripted to http://elsewhere/v1: redirects are not followed"));
}
