// SPDX-License-Identifier: MIT
#include "shared/stub_service.hpp"

#include <otlpkit/http/server.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <optional>
#include <random>
#include <thread>
#include <utility>

namespace shop {

namespace asio = boost::asio;
namespace http = otlpkit::http;

struct stub_service::state {
  explicit state(const stub_options& given) : options{given}, random{given.seed} {}

  /// On the service's thread.
  asio::awaitable<http::response> serve(const route& to, http::request& request) {
    struct under_way {
      std::atomic<int>& count;
      ~under_way() {
        --count;
        count.notify_all();
      }
    } const one{busy};
    ++busy;
    ++requests;
    const unsigned status = next_status();  // as it was when the request came
    co_await take_time();
    if (status != 0) co_return http::reply(status);
    co_return to.answer(request);
  }

  [[nodiscard]] unsigned next_status() {
    int left = failures.load();
    while (left > 0 && !failures.compare_exchange_weak(left, left - 1)) {
    }
    return left == 0 ? 0 : failure.load();
  }

  asio::awaitable<void> take_time() {
    std::uniform_int_distribution<std::int64_t> latency{options.min_latency.count(), options.max_latency.count()};
    const auto begun = std::chrono::steady_clock::now();
    asio::steady_timer timer{co_await asio::this_coro::executor, begun + std::chrono::microseconds{latency(random)}};
    co_await timer.async_wait(asio::use_awaitable);
    while (std::chrono::steady_clock::now() < begun + std::chrono::milliseconds{slower.load()}) {
      timer.expires_after(std::chrono::milliseconds{2});
      co_await timer.async_wait(asio::use_awaitable);
    }
  }

  void listen() {
    server.emplace(io.get_executor(), routes, http::server_options{.max_body_bytes = options.max_body_bytes});
    at = server->listen(at);
  }

  stub_options options;
  std::mt19937_64 random;
  std::atomic<unsigned> failure{0};
  std::atomic<int> failures{0};
  std::atomic<std::int64_t> slower{0};  // milliseconds
  std::atomic<std::int64_t> requests{0};
  std::atomic<int> busy{0};

  http::router routes;
  std::string url;
  asio::ip::tcp::endpoint at{asio::ip::address_v4::loopback(), 0};
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  std::optional<http::server> server;  // goes before the io_context
  std::thread thread;
};

stub_service::stub_service(const std::vector<route>& routes, const stub_options& options)
    : state_{std::make_unique<state>(options)} {
  state& s = *state_;
  for (const route& r : routes)
    s.routes.on(r.method, r.pattern, [&s, to = r](http::request& request) { return s.serve(to, request); });
  s.listen();
  s.url = "http://127.0.0.1:" + std::to_string(s.at.port());
  s.thread = std::thread{[&s] { s.io.run(); }};
}

stub_service::~stub_service() {
  slow_down(std::chrono::milliseconds{0});
  take_down(true);
  state_->work.reset();
  state_->thread.join();  // the requests that are being served come to their end
}

const std::string& stub_service::url() const noexcept { return state_->url; }

void stub_service::take_down(bool down) {
  state& s = *state_;
  asio::post(s.io, asio::use_future([&s, down] {
               if (down) s.server.reset();
               if (!down && !s.server) s.listen();
             }))
      .get();
}

void stub_service::answer_with(unsigned status, int times) {
  state_->failure = status;
  state_->failures = status == 0 ? 0 : times;
}

void stub_service::slow_down(std::chrono::milliseconds more) { state_->slower = more.count(); }

void stub_service::wait_until_idle() {
  state& s = *state_;
  for (int n = s.busy; n != 0; n = s.busy) s.busy.wait(n);
  // The last answer is written: its span ends when the writing is told, a few steps of the io_context later.
  for (int step = 0; step < 16; ++step) asio::post(s.io, asio::use_future([] {})).get();
}

std::int64_t stub_service::requests() const noexcept { return state_->requests; }

}  // namespace shop
