// SPDX-License-Identifier: MIT
#include <otlpkit/http/session.hpp>

#include "support/http_service.hpp"
#include "support/sanitized.hpp"

#include <doctest/doctest.h>

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace http_service;

namespace {

void send(tcp::socket& s, std::string_view bytes) {
  boost::system::error_code e;
  asio::write(s, asio::buffer(bytes), e);
}

/// What still comes, until the server closes.
std::string rest_of(tcp::socket& s) {
  std::string out;
  boost::system::error_code e;
  asio::read(s, asio::dynamic_buffer(out), e);
  return out;
}

/// Memory of this process that is really there.
std::size_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::size_t all = 0;
  std::size_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

#if !OTLPKIT_TEST_SANITIZED
/// What this thread may still allocate before there is no more memory; below zero: anything.
static constinit thread_local long allocations_left = -1;

[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left == 0) throw std::bad_alloc{};
  if (allocations_left > 0) --allocations_left;
  if (void* const p = std::malloc(size != 0 ? size : 1)) return p;
  throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
#endif

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
  CHECK(f.status("POST /echo HTTP/1.1" + host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n") ==
        "HTTP/1.1 400 Bad Request");
  for (const char* name : {"x y", "x/y", "u@x", "x\\y", "x?y", "<x>", "x:y", "x:65536", ":80", "[::1"}) {
    CAPTURE(name);
    CHECK(f.status(std::string{"GET / HTTP/1.1\r\nHost: "} + name + "\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  }
  for (const char* line : {" folded: y", "Name : y", ": y", "Na\tme: y", "Name: y\nHost: z", "Name: \x01", "noname"}) {
    CAPTURE(line);
    CHECK(f.status("GET / HTTP/1.1" + host + line + "\r\n\r\n") == "HTTP/1.1 400 Bad Request");
  }
  for (const char* first : {"GET", "GET /", " / HTTP/1.1", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / http/1.1",
                            "G\x01T / HTTP/1.1", "GET / HTTP/1.", "\x16\x03\x01\x02"}) {
    CAPTURE(first);
    CHECK(f.status(first + host + "\r\n") == "HTTP/1.1 400 Bad Request");
  }
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
  const auto spans = f.spans(40);
  const auto rejected = std::ranges::find(spans, "HTTP", &otlpkit::testing::span_record::name);
  REQUIRE(rejected != spans.end());
  CHECK(attribute(*rejected, "http.response.status_code").starts_with("4"));
  CHECK(attribute(*rejected, "error.type") == "(none)");
}

TEST_CASE("what comes behind a request whose end is not clear is no request") {
  fixture f;
  const auto answers = [&f](std::string_view version, std::string_view coding, std::string_view body) {
    const std::string behind = "GET /products/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::string request{"POST /echo HTTP/"};
    request.append(version).append("\r\nHost: x\r\nConnection: keep-alive\r\n").append(coding).append("\r\n\r\n");
    const std::string all = f.talk(request.append(body) + behind);
    std::string statuses;
    for (std::size_t at = 0; (at = all.find("HTTP/1.", at)) != std::string::npos; ++at)
      statuses += all.substr(at + 9, 4);
    return statuses;
  };
  for (const char* coding : {"gzip", "chunked, gzip", "xchunked", "identity", "chunked, identity", ""}) {
    CAPTURE(coding);
    CHECK(answers("1.1", std::string{"Transfer-Encoding: "} + coding, "0\r\n\r\n") == "400 ");
  }
  CHECK(answers("1.0", "Transfer-Encoding: chunked", "0\r\n\r\n") == "400 ");
  CHECK(answers("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", "0\r\n\r\n") == "400 ");
  for (const char* coding : {"gzip, chunked", "chunked;q=1"}) {
    CHECK(answers("1.1", std::string{"Transfer-Encoding: "} + coding, "0\r\n\r\n") == "501 ");
  }
  CHECK(answers("1.1", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "0\r\n\r\n") == "501 ");
  CHECK(answers("1.1", "Transfer-Encoding: Chunked", "0\r\n\r\n") == "200 200 ");
  CHECK(answers("1.1", "Content-Length: 3", "abc") == "200 200 ");
}

TEST_CASE("half-open and slow clients are cut at the deadline, and others are served meanwhile") {
  fixture f;
  std::vector<tcp::socket> slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(f.connect());
    if (i % 3 == 1) send(slow.back(), "GET /products/1 HTTP/1.1\r\nHost: x\r\n");
    if (i % 3 == 2) send(slow.back(), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab");
  }
  for (int i = 0; i < 20; ++i) CHECK(f.get("/products/1").result_int() == 200);
  for (tcp::socket& s : slow) CHECK(rest_of(s).empty());
  // Whose header was complete is told of: 100 of them, beside the 20 requests and their clients.
  std::size_t late = 0;
  for (const auto& s : f.spans(140)) {
    if (attribute(s, "error.type") != "timeout") continue;
    ++late;
    CHECK((s.name == "POST /echo" && s.is_error() && attribute(s, "http.response.status_code") == "(none)"));
  }
  CHECK(late == 100);
}

TEST_CASE("a client that sends a byte now and then does not live longer") {
  fixture f;
  tcp::socket s = f.connect();
  const auto begin = std::chrono::steady_clock::now();
  boost::system::error_code e;
  ::pollfd cut{s.native_handle(), POLLIN, 0};
  do {
    asio::write(s, asio::buffer("G", 1), e);
  } while (!e && ::poll(&cut, 1, 20) == 0 && std::chrono::steady_clock::now() - begin < 5s);
  CHECK(rest_of(s).empty());
  CHECK(std::chrono::steady_clock::now() - begin < 4s);
}

TEST_CASE("a client that does not take its answer is cut, and the server keeps no more than that answer for it") {
  http::server_options options = fixture::quick();
  options.max_body_bytes = 16 << 20;
  options.body_timeout = 10s;
  options.write_timeout = 200ms;
  fixture f{options};
  tcp::socket s{f.raw, tcp::v4()};
  s.set_option(asio::socket_base::receive_buffer_size{4096});
  s.connect(f.at);
  const std::string body(8 << 20, 'x');  // comes back, and nobody reads it
  send(s, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  while (f.server.connections() != 0) std::this_thread::yield();
  CHECK(f.get("/products/1").result_int() == 200);
}

TEST_CASE("1,000 slow clients at once take little memory, and others are served meanwhile") {
  constexpr std::size_t count = 1000;
  ::rlimit files{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, std::max<rlim_t>(files.rlim_cur, 4096));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
  REQUIRE(files.rlim_cur >= 2 * count + 100);  // both ends are here

  http::server_options options;  // as they are by default, but for the time
  options.header_timeout = options.body_timeout = 60s;
  fixture f{options};
  CHECK(f.get("/products/1").result_int() == 200);
  const std::size_t before = resident_bytes();
  std::vector<tcp::socket> slow;
  for (std::size_t i = 0; i < count; ++i) {
    slow.push_back(f.connect());
    switch (i % 4) {
      case 0: break;  // half open: says nothing
      case 1: send(slow.back(), "GET /products/1 HTTP/1.1\r\nHost: x\r\nX: " + std::string(8000, 'x')); break;
      case 2: send(slow.back(), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nab"); break;
      default: send(slow.back(), "GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\nGET /pro"); break;  // served once, idle
    }
  }
  while (f.server.connections() != count + 1) std::this_thread::yield();  // and the client's own
  std::vector<std::chrono::nanoseconds> taken;
  for (int i = 0; i < 200; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(f.get("/products/1").result_int() == 200);
    taken.push_back(std::chrono::steady_clock::now() - begin);
  }
  const std::size_t more = resident_bytes() - before;
  std::ranges::sort(taken);
  MESSAGE("for 1,000 slow clients: " << more / 1024 << " KiB; a request meanwhile took " << taken[100].count() / 1000
                                     << " us, and " << taken[198].count() / 1000 << " us the 99th of 100");
  CHECK(taken[100] < 100ms);
#if !OTLPKIT_TEST_SANITIZED
  CHECK(more < std::size_t{32} << 20);
#endif
  // A server that stops does not wait for them, but cuts them when its time is over.
  const bool in_time = asio::co_spawn(f.io, f.server.stop(100ms), asio::use_future).get();
  CHECK_FALSE(in_time);
  for (tcp::socket& s : slow) static_cast<void>(rest_of(s));
  while (f.server.connections() != 0) std::this_thread::yield();
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

TEST_CASE("a connection that cannot be started is closed, and the next is served") {
  struct short_of_memory final : http::detail::session_maker {  // in the place of TLS
    void start(const std::shared_ptr<http::detail::server_shared>& shared, tcp::socket socket,
               http::peer from) override {
      if (++asked <= 3) throw std::bad_alloc{};
      http::detail::start_session<http::detail::plain_layer>(shared, std::move(socket), std::move(from));
    }
    int asked = 0;
  };
  http::detail::installed_server_tls.store([](const http::server_tls&) -> std::unique_ptr<http::detail::session_maker> {
    return std::make_unique<short_of_memory>();
  });
  http::server_options options = fixture::quick();
  options.tls.certificate = "not looked at";
  fixture f{options};
  for (int i = 0; i < 3; ++i) CHECK(f.status("GET /products/1 HTTP/1.1\r\nHost: x\r\n\r\n").empty());
  CHECK(f.server.connections() == 0);
  CHECK(f.get("/products/1").result_int() == 200);
}

#if !OTLPKIT_TEST_SANITIZED
TEST_CASE("a connection for which memory ends, wherever it does, is not counted as open") {
  asio::io_context io;
  tcp::acceptor door{io, {asio::ip::address_v4::loopback(), 0}};
  const auto shared =
      std::make_shared<http::detail::server_shared>(io.get_executor(), http::router{}, fixture::quick());
  int failures = 0;
  for (bool failed = true; failed; ++failures) {
    tcp::socket client{io};
    client.connect(door.local_endpoint());
    tcp::socket accepted = door.accept(asio::make_strand(io));
    allocations_left = failures;
    try {
      http::detail::start_session<http::detail::plain_layer>(shared, std::move(accepted), http::peer{});
      failed = false;
    } catch (const std::bad_alloc&) {
    }
    allocations_left = -1;
    CHECK(shared->connections() == (failed ? 0 : 1));
  }
  CHECK(failures > 3);
  shared->close(true);
  io.run();
  CHECK(shared->connections() == 0);
}
#endif
