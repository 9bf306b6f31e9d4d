// SPDX-License-Identifier: MIT
// A request over a kept connection of the loopback, client and server on one thread, without telemetry and with the
// spans, metrics and headers of both sides; and what either side's instrumentation takes of that, without any socket.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/http/client.hpp>
#include <otlpkit/http/server.hpp>
#include <otlpkit/otlpkit.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <exception>
#include <string>

namespace {

namespace asio = boost::asio;
namespace http = otlpkit::http;

constexpr std::int64_t few = 256;

http::router routes() {
  http::router r;
  r.get("/products/{id}",
        [](http::request&) -> asio::awaitable<http::response> { co_return http::reply(200, "cup", "text/plain"); });
  return r;
}

asio::awaitable<void> ask(benchmark::State& state, const http::client& shop, http::server& server) {
  for (int i = 0; i < 64; ++i) co_await shop.get("/products/17", "/products/{id}");
  const std::uint64_t before = allocations::of_this_thread();
  for ([[maybe_unused]] auto _ : state) co_await shop.get("/products/17", "/products/{id}");
  cases::note_allocations(state, allocations::of_this_thread() - before);
  shop.close_idle();
  co_await server.stop();
}

void request(benchmark::State& state) {
  asio::io_context io{1};
  http::server server{io.get_executor(), routes()};
  const auto at = server.listen({asio::ip::address_v4::loopback(), 0});
  const http::client shop{"http://127.0.0.1:" + std::to_string(at.port())};
  otlpkit::co_spawn(io, ask(state, shop, server), [&](const std::exception_ptr& e) {
    if (e) state.SkipWithError("the request failed");
  });
  io.run();
}

void request_plain(benchmark::State& state) {
  pipeline::off();
  request(state);
}
void request_traced(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("caller");
  request(state);
}

http::request::message a_request() {
  http::request::message r{boost::beast::http::verb::get, "/products/17?color=blue", 11};
  r.set("Host", "shop.example:8080");
  r.set("User-Agent", "probe/1");
  r.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  return r;
}

void server_call(benchmark::State& state) {
  pipeline::on();
  const http::request::message r = a_request();
  const http::response answer = http::reply(200, "cup", "text/plain");
  const http::peer from{"127.0.0.1", 50'000, false};
  const http::capture_options capture;
  const http::known_methods methods;
  cases::measure(state, [&] {
    http::server_call call{r, "/products/{id}", from, capture, methods, true};
    call.finish(200, 0, answer.body().size(), &answer);
  });
}

void client_call(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("caller");
  http::request::message r = a_request();
  const http::response answer = http::reply(200, "cup", "text/plain");
  const http::client_target target{"http://shop.example:8080/products/17?color=blue", "shop.example", 8080,
                                   "/products/{id}"};
  const http::capture_options capture;
  const http::known_methods methods;
  cases::measure(state, [&] {
    http::client_call call{"GET", target, capture, methods};
    call.send_context(r, true);
    call.finish(answer, 200, 11, 0, answer.body().size());
  });
}

BENCHMARK(request_plain)->Iterations(few);
BENCHMARK(request_traced)->Iterations(few);
BENCHMARK(server_call)->Name("request_server_call")->Iterations(cases::burst / 8);
BENCHMARK(client_call)->Name("request_client_call")->Iterations(cases::burst / 8);

}  // namespace
