// SPDX-License-Identifier: MIT
// links: OpenSSL::SSL OpenSSL::Crypto
#include <otlpkit/http/tls.hpp>

#include "support/http_service.hpp"
#include "support/test_certificates.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

using namespace http_service;
using otlpkit_test::certificate_files;
using otlpkit_test::test_authority;
using otlpkit_test::unlike_files;

namespace {

http::server_options over_tls(const certificate_files& own, const std::string& client_authority = "") {
  http::server_options options = fixture::quick();
  options.tls = {.certificate = own.certificate, .key = own.key, .client_authority = client_authority};
  return options;
}

std::string at(const fixture& f, const std::string& host) {
  return "https://" + host + ":" + std::to_string(f.at.port());
}

/// The status of a GET, or what went wrong. Exceptions stay in their thread: ThreadSanitizer does not see how the
/// library counts who refers to one.
asio::awaitable<std::string> status_of(const http::client& client, std::string url) {
  try {
    const http::response answer = co_await client.get(url);
    co_return std::to_string(answer.result_int());
  } catch (const boost::system::system_error& e) {
    co_return http::detail::error_name(e.code());
  }
}

std::string get(fixture& f, const http::client& client, const std::string& url) {
  return asio::co_spawn(f.io, status_of(client, url), asio::use_future).get();
}

std::string refused(http::server_options options) {
  asio::io_context io;
  try {
    const http::server server{io.get_executor(), {}, std::move(options)};
  } catch (const otlpkit::config_error& e) {
    return e.what();
  }
  return "";
}

std::string refused(http::client_tls files) {
  try {
    const http::client client{{.tls = std::move(files)}};
  } catch (const otlpkit::config_error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("requests go over TLS by name and by address, on one connection, and spans say https") {
  test_authority authority;
  fixture f{over_tls(authority.issue("server", "DNS:localhost,IP:127.0.0.1"))};
  const http::client client{{.timeout = 5s, .tls = {.certificate = authority.file()}}};
  for (int i = 0; i < 3; ++i) CHECK(get(f, client, at(f, "localhost") + "/products/1") == "200");
  CHECK(f.server.connections() == 1);
  CHECK(get(f, client, at(f, "127.0.0.1") + "/products/1") == "200");
  const std::string large(8000, 'x');
  const auto answer = asio::co_spawn(f.io, client.post(at(f, "localhost") + "/echo", large), asio::use_future).get();
  CHECK(answer.body() == large);
  const auto spans = f.spans(10);
  int by_name = 0;
  for (const auto& server : spans) {  // in any order: two threads record
    if (server.kind != static_cast<decltype(server.kind)>(otlpkit::span_kind::server)) continue;
    CHECK(attribute(server, "url.scheme") == "https");
    const auto client_span = std::ranges::find(spans, server.parent_id, &otlpkit::testing::span_record::span_id);
    REQUIRE(client_span != spans.end());
    CHECK(client_span->trace_id == server.trace_id);
    const std::string host = attribute(server, "server.address");
    CHECK(attribute(*client_span, "url.full").starts_with(at(f, host) + "/"));
    by_name += host == "localhost" ? 1 : 0;
  }
  CHECK(by_name == 4);
}

TEST_CASE("a certificate of an unknown authority or for another host is refused, and the span says why") {
  test_authority known;
  test_authority unknown{"someone else"};
  const auto described = [](fixture& f) { return of_kind(f.spans(1), otlpkit::span_kind::client).status_message; };
  {
    fixture f{over_tls(unknown.issue("server", "DNS:localhost"))};
    const http::client client{{.timeout = 5s, .tls = {.certificate = known.file()}}};
    CHECK(get(f, client, at(f, "localhost") + "/products/1") == "tls_error");
    CHECK(described(f).find("issuer certificate") != std::string::npos);
    const http::client system{{.timeout = 5s}};  // the system's store does not know it either
    CHECK(get(f, system, at(f, "localhost") + "/products/1") == "tls_error");
    CHECK(attribute(f.spans(1)[0], "error.type") == "tls_error");
  }
  fixture f{over_tls(known.issue("server", "DNS:other.example,IP:127.0.0.2"))};
  const http::client client{{.timeout = 5s, .tls = {.certificate = known.file()}}};
  for (const char* host : {"localhost", "127.0.0.1"}) CHECK(get(f, client, at(f, host) + "/products/1") == "tls_error");
  for (const auto& s : f.spans(2)) CHECK(s.is_error());
}

TEST_CASE("a client certificate opens a server that asks for one, and without it the door stays shut") {
  test_authority authority;
  test_authority other{"someone else"};
  const auto own = authority.issue("client", "");
  const auto foreign = other.issue("client", "");
  fixture f{over_tls(authority.issue("server", "DNS:localhost"), authority.file())};
  const auto result = [&](http::client_tls files) {
    files.certificate = authority.file();
    const http::client client{{.timeout = 5s, .tls = std::move(files)}};
    return get(f, client, at(f, "localhost") + "/products/1");
  };
  CHECK(result({.client_certificate = own.certificate, .client_key = own.key}) == "200");
  for (const std::string& error :
       {result({}), result({.client_certificate = foreign.certificate, .client_key = foreign.key})}) {
    CAPTURE(error);
    CHECK((error == "tls_error" || error == "connection_reset" || error == "end_of_stream"));
  }
  for (const auto& s : f.spans(4)) {
    if (s.kind == static_cast<decltype(s.kind)>(otlpkit::span_kind::server)) CHECK(s.name == "GET /products/{id}");
  }
}

TEST_CASE("plain HTTP on a TLS port and silence in the handshake are cut, and others are served meanwhile") {
  test_authority authority;
  fixture f{over_tls(authority.issue("server", "DNS:localhost"))};
  tcp::socket silent = f.connect();
  CHECK(f.talk("GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n").find("HTTP/1.1") == std::string::npos);
  const http::client client{{.timeout = 5s, .tls = {.certificate = authority.file()}}};
  CHECK(get(f, client, at(f, "localhost") + "/products/1") == "200");
  std::string nothing;
  boost::system::error_code e;
  asio::read(silent, asio::dynamic_buffer(nothing), e);
  CHECK((nothing.empty() && e));
  // And a TLS client on a port that never answers a handshake ends with its time.
  tcp::acceptor mute{f.raw, {asio::ip::address_v4::loopback(), 0}};
  const http::client hurried{{.timeout = 100ms, .tls = {.certificate = authority.file()}}};
  CHECK(get(f, hurried, "https://127.0.0.1:" + std::to_string(mute.local_endpoint().port()) + "/") == "timeout");
}

TEST_CASE("limits, refusals, pipelining and draining are the same over TLS") {
  test_authority authority;
  fixture f{over_tls(authority.issue("server", "DNS:localhost"))};
  asio::ssl::context context{asio::ssl::context::tls_client};
  context.load_verify_file(authority.file());
  context.set_verify_mode(asio::ssl::verify_peer);
  bool clean = false;
  const auto talk = [&](const std::string& bytes) {
    asio::ssl::stream<tcp::socket> s{f.connect(), context};
    s.handshake(asio::ssl::stream_base::client);
    boost::system::error_code e;
    asio::write(s, asio::buffer(bytes), e);
    std::string answer;
    asio::read(s, asio::dynamic_buffer(answer), e);
    clean = e == asio::error::eof;  // and not a stream cut off
    if (!clean) MESSAGE(e.message());
    return answer;
  };
  CHECK(talk("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
  CHECK(clean);
  CHECK(talk("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(5000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 431"));
  CHECK(talk("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10001\r\n\r\n").starts_with("HTTP/1.1 413"));
  CHECK(
      talk(
          "GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /products/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
          .find("product 1HTTP/1.1 200 OK") != std::string::npos);
  CHECK(clean);

  const http::client client{{.timeout = 5s, .tls = {.certificate = authority.file()}}};
  auto waited = asio::co_spawn(f.io, client.get(at(f, "localhost") + "/wait"), asio::use_future);
  while (f.waiting.load() == 0) std::this_thread::yield();
  auto stopped = asio::co_spawn(f.io, f.server.stop(5s), asio::use_future);
  f.hold.open();
  CHECK(waited.get().body() == "waited");
  CHECK(stopped.get());
}

TEST_CASE("files that cannot be used are refused by name when a server or a client is made") {
  const unlike_files files;
  const auto& [authority, good, other, locked, missing, garbage] = files;
  const auto names = &unlike_files::named;
  const auto server = [](const http::server_tls& own) { return refused(http::server_options{.tls = own}); };
  CHECK(names(server({.certificate = missing, .key = good.key}), "tls.certificate", missing));
  CHECK(names(server({.certificate = garbage, .key = good.key}), "tls.certificate", garbage));
  CHECK(names(server({.certificate = good.certificate, .key = missing}), "tls.key", missing));
  CHECK(names(server({.certificate = good.certificate, .key = other.key}), "tls.key", other.key));
  CHECK(names(server({.certificate = locked.certificate, .key = locked.key}), "tls.key", locked.key));
  CHECK(names(server({.certificate = good.certificate}), "tls.key", good.certificate));
  CHECK(names(server({.key = good.key}), "tls.certificate", good.key));
  CHECK(names(server({.client_authority = authority.file()}), "tls.certificate", ""));
  CHECK(names(server({.certificate = good.certificate, .key = good.key, .client_authority = garbage}),
              "tls.client_authority", garbage));
  CHECK(names(refused({.certificate = missing}), "tls.certificate", missing));
  CHECK(names(refused({.client_certificate = good.certificate, .client_key = other.key}), "tls.client_key", other.key));
  CHECK(names(refused({.client_key = good.key}), "tls.client_certificate", good.key));
}
