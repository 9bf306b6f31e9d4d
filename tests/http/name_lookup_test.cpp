// SPDX-License-Identifier: MIT
// Names are looked up in here: the program has a getaddrinfo() of its own.
#include <otlpkit/asio/when.hpp>
#include <otlpkit/http/blocking_client.hpp>

#include "support/http_service.hpp"
#include "support/scripted_server.hpp"

#include <doctest/doctest.h>

#include <dlfcn.h>
#include <netdb.h>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

using namespace http_service;
using otlpkit_test::scripted_server;

namespace {

/// Nobody is told about `slow.test` until the gate opens; `shop.test` is this host, other names are unknown.
struct name_server {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int waiting = 0;
  int most_waiting = 0;

  void wait() {
    std::unique_lock lock{mutex};
    most_waiting = std::max(most_waiting, ++waiting);
    changed.notify_all();
    changed.wait(lock, [this] { return open; });
    --waiting;
  }
  void set(bool now_open) {
    const std::lock_guard lock{mutex};
    open = now_open;
    most_waiting = 0;
    changed.notify_all();
  }
  int asked() {
    const std::lock_guard lock{mutex};
    return waiting;
  }
};
name_server names;

/// Shut as long as this lives. Whatever still asks then would keep its io_context waiting.
struct shut_gate {
  shut_gate() { names.set(false); }
  shut_gate(const shut_gate&) = delete;
  shut_gate& operator=(const shut_gate&) = delete;
  ~shut_gate() { names.set(true); }
};

std::string error_of(const std::exception_ptr& e) {
  try {
    if (e) std::rethrow_exception(e);
  } catch (const boost::system::system_error& x) {
    return http::detail::error_name(x.code());
  }
  return "";
}

/// What a GET ends with, whatever else the io_context still does then.
std::string get(asio::io_context& io, const http::client& client, const std::string& url) {
  std::string out;
  otlpkit::co_spawn(io, client.get(url), [&out](const std::exception_ptr& e, const http::response& answer) {
    out = e ? error_of(e) : std::to_string(answer.result_int());
  });
  io.restart();
  while (out.empty() && io.run_one() != 0) {
  }
  return out;
}

std::string get(http::blocking_client& client, const std::string& url) {
  try {
    return std::to_string(client.get(url).result_int());
  } catch (const boost::system::system_error& e) {
    return http::detail::error_name(e.code());
  }
}

}  // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** out) {
  const std::string_view asked = name;
  if (asked == "slow.test") names.wait();
  if (asked != "shop.test") return EAI_NONAME;
  static const auto real = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  return real("127.0.0.1", service, hints, out);
}

TEST_CASE("a name is looked up, and one that is unknown is told by its name") {
  support::recording recording;
  asio::io_context io;
  scripted_server server;
  const http::client client{{.timeout = 5s}};
  CHECK(get(io, client, "http://shop.test:" + std::to_string(server.port()) + "/") == "200");
  const auto span = recording.take_one();
  CHECK(attribute(span, "server.address") == "shop.test");
  CHECK(attribute(span, "network.peer.address") == "127.0.0.1");
  CHECK(get(io, client, "http://LocalHost:" + std::to_string(server.port()) + "/") == "200");  // needs no look-up
  CHECK(get(io, client, "http://no-such-name.test/") == "host_not_found");
}

TEST_CASE("a look-up that takes too long is cut by the time limit, by the deadline and by cancelling") {
  support::recording recording;
  asio::io_context io;
  const http::client hurried{{.timeout = 30ms}};
  const http::client patient{{.timeout = 60s}};
  {
    const shut_gate gate;
    CHECK(get(io, hurried, "http://slow.test/") == "timeout");
    CHECK(attribute(recording.take_one(), "error.type") == "timeout");
    const otlpkit::deadline_scope deadline{30ms};
    CHECK(get(io, patient, "http://slow.test/") == "timeout");
    CHECK(names.asked() == 1);  // still
  }
  io.run();
  static_cast<void>(recording.take());
  {
    const shut_gate gate;
    bool in_time = false;
    otlpkit::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
          const auto nothing = []() -> asio::awaitable<void> { co_await asio::post(asio::use_awaitable); };
          const auto first = co_await otlpkit::when_any(patient.get("http://slow.test/"), nothing());
          in_time = first.index() == 1;
        },
        [&](const std::exception_ptr& e) { CHECK_FALSE(e); });
    io.restart();
    while (!in_time && io.run_one() != 0) {
    }
    CHECK(in_time);
    CHECK_FALSE(recording.take_one().is_error());
  }
  io.run();  // comes to its end when the look-up does
}

TEST_CASE("an io_context may go while a name is looked up, once the system answers") {
  auto io = std::make_unique<asio::io_context>();
  const http::client client{{.timeout = 30ms}};
  const auto gate = std::make_unique<shut_gate>();
  CHECK(get(*io, client, "http://slow.test/") == "timeout");
  std::thread opener{[&] { names.set(true); }};
  io.reset();
  opener.join();
}

TEST_CASE("without coroutines a look-up that takes too long is cut, and keeps no other request from being served") {
  scripted_server server;
  http::blocking_client client{server.url(""), {.timeout = 20ms}};
  http::blocking_client other{server.url("")};
  {
    const shut_gate gate;
    CHECK(get(client, "http://slow.test/") == "timeout");
    CHECK(names.asked() == 1);
    const std::string port = std::to_string(server.port());
    CHECK(get(other, "http://shop.test:" + port + "/") == "200");
    for (int i = 0; i < 40; ++i) CHECK(get(client, "http://slow.test/") == "timeout");
    const std::lock_guard lock{names.mutex};
    CHECK(names.most_waiting == 16);  // threads that hang in the system are bounded
  }
  while (names.asked() != 0) std::this_thread::yield();
  http::blocking_client again{server.url(""), {.timeout = 5s}};
  CHECK(get(again, "/a") == "200");
}
