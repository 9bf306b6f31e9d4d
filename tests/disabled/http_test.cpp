// SPDX-License-Identifier: MIT
#include <otlpkit/http/client.hpp>
#include <otlpkit/http/server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace asio = boost::asio;
namespace http = otlpkit::http;
using namespace std::chrono_literals;

TEST_CASE("with telemetry compiled out servers serve, clients ask, and no header is added") {
  asio::io_context io;
  http::router routes;
  routes.post("/echo/{id}", [](http::request& r) -> asio::awaitable<http::response> {
    std::string all{r.parameter("id")};
    for (const auto& f : r) all.append(" ").append(f.name_string());
    co_return http::reply(200, all + " " + r.body());
  });
  routes.get("/fail", [](http::request&) -> asio::awaitable<http::response> {
    throw std::runtime_error{"no"};
    co_return http::response{};
  });
  http::server server{io.get_executor(), std::move(routes), {.capture = {.request_headers = {"X"}}}};
  const auto at = server.listen({asio::ip::address_v4::loopback(), 0});
  const http::client client{"http://127.0.0.1:" + std::to_string(at.port())};
  std::string echoed;
  unsigned failed = 0;
  unsigned unknown = 0;
  bool drained = false;
  otlpkit::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        const otlpkit::deadline_scope deadline{5s};
        const http::response echo = co_await client.post("/echo/7", "body", "text/plain", "/echo/{id}");
        echoed = echo.body();
        const http::response fail = co_await client.get("/fail");
        failed = fail.result_int();
        const http::response none = co_await client.get("/none");
        unknown = none.result_int();
        drained = co_await server.stop(5s);
      },
      [](std::exception_ptr e) { CHECK(e == nullptr); });
  io.run();
  CHECK(echoed == "7 Content-Type Host Content-Length body");
  CHECK((failed == 500 && unknown == 404));
  CHECK(drained);
}
