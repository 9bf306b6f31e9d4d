// SPDX-License-Identifier: MIT
#include <otlpkit/asio/when.hpp>
#include <otlpkit/http/blocking_client.hpp>

#include <http/requests.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using namespace http_service;

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
