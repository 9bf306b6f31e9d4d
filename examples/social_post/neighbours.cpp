// SPDX-License-Identifier: MIT
#include "social_post/neighbours.hpp"

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/http/server.hpp>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <map>
#include <optional>
#include <random>
#include <utility>

namespace asio = boost::asio;
namespace http = otlpkit::http;

namespace social {

shop::stub_service moderation_service(std::uint64_t seed) {
  static const std::map<std::string, std::string> refused_words{{"en", "guaranteed profit"}, {"zh-CN", "稳赚不赔"}};
  const auto judge = [](const http::request& request) {
    const auto asked = shop::from_json<moderation_question>(request.body());
    const auto word = refused_words.find(asked.language);
    if (word == refused_words.end()) return http::reply(422, "nobody here reads " + asked.language);
    const bool approved = asked.content.find(word->second) == std::string::npos;
    const moderation_answer answer{approved, approved ? "" : "it promises a guaranteed profit"};
    return http::reply(200, shop::to_json(answer), "application/json");
  };
  return shop::stub_service{{{"POST", "/moderate", judge}}, {.seed = seed}};
}

struct media_service::state {
  explicit state(std::uint64_t seed) : random{seed} { listen(); }

  asio::awaitable<http::response> process(http::request& request) {
    const image given = shop::from_json<image>(request.body());
    const std::string name = given.url.substr(given.url.rfind('/') + 1);
    asio::steady_timer timer{co_await asio::this_coro::executor, std::chrono::milliseconds{1 + random() % 3}};
    co_await timer.async_wait(asio::use_awaitable);
    if (name.find("broken") != std::string::npos) co_return http::reply(422, name + " is no image");
    const image shown{"https://img.example/" + name + ".webp"};
    timer.expires_after(std::chrono::milliseconds{each.load()});
    co_await timer.async_wait(asio::use_awaitable);
    co_return http::reply(200, shop::to_json(shown), "application/json");
  }

  void listen() {
    http::router routes;
    routes.post("/images", [this](http::request& r) { return process(r); });
    server.emplace(on.context().get_executor(), std::move(routes));
    at = server->listen(at);
  }

  std::mt19937_64 random;  // on the service's thread only
  std::atomic<std::int64_t> each{2};
  asio::ip::tcp::endpoint at{asio::ip::address_v4::loopback(), 0};
  std::string url;
  shop::service_thread on;
  std::optional<http::server> server;
};

media_service::media_service(std::uint64_t seed) : state_{std::make_unique<state>(seed)} {
  state_->url = "http://127.0.0.1:" + std::to_string(state_->at.port());
}

media_service::~media_service() {
  state_->on.call([this] { state_->server.reset(); });
}

const std::string& media_service::url() const noexcept { return state_->url; }

void media_service::take(std::chrono::milliseconds each) { state_->each = each.count(); }

void media_service::wait_until_idle() {
  otlpkit::co_spawn(state_->on.context(), state_->server->stop(), asio::use_future).get();
  state_->on.call([this] { state_->listen(); });
}

}  // namespace social
