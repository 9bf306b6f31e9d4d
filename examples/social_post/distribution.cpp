// SPDX-License-Identifier: MIT
#include "social_post/distribution.hpp"

#include "social_post/neighbours.hpp"

#include <otlpkit/asio/offload.hpp>
#include <otlpkit/otlpkit.hpp>

#include <exception>
#include <utility>

namespace asio = boost::asio;

namespace social {
namespace {

/// Public posts go to all who follow the author, those for friends to whom the author follows as well.
void fill_timelines(const post& made, shop::store& db) {
  std::string sql =
      "INSERT INTO timelines (user_id, post_id) SELECT follower_id, $1 FROM follows f WHERE followee_id = $2";
  if (made.visibility == "friends") {
    sql +=
        " AND EXISTS (SELECT 1 FROM follows back WHERE back.follower_id = f.followee_id AND "
        "back.followee_id = f.follower_id)";
  }
  const auto reached = made.visibility == "private" ? 0 : db.execute(sql, made.id, made.user_id);
  OTLPKIT_RECORD("followers_reached", reached);
}

asio::awaitable<void> push_to_followers(const post& made, services& s) {
  OTLPKIT_SPAN("post.push_to_followers", {"visibility", made.visibility});
  co_await otlpkit::offload(s.blocking, [&] { fill_timelines(made, *s.database.acquire()); });
}

asio::awaitable<void> update_search_index(const post& made, services& s) {
  OTLPKIT_SPAN("post.update_search_index");
  const auto answer =
      co_await s.search.put("/posts/" + made.id, shop::to_json(made), "application/json", "/posts/{id}");
  if (answer.result_int() != 200) OTLPKIT_FAIL("not_indexed", "search says " + std::to_string(answer.result_int()));
}

asio::awaitable<void> trigger_recommendation(const post& made, services& s) {
  OTLPKIT_SPAN("post.trigger_recommendation");
  const std::string event = shop::to_json(new_post{made.id, made.user_id});
  const auto answer = co_await s.recommendation.post("/events", event, "application/json", "/events");
  if (answer.result_int() != 202)
    OTLPKIT_FAIL("not_recommended", "recommendation says " + std::to_string(answer.result_int()));
}

/// Nobody waits for an answer; the step's own span has what went wrong.
asio::awaitable<void> tolerate(asio::awaitable<void> step) {
  try {
    co_await std::move(step);
  } catch (const std::exception&) {
  }
}

}  // namespace

asio::awaitable<void> distribute(post made, services& s) {
  co_await tolerate(push_to_followers(made, s));
  if (made.visibility != "public") co_return;
  co_await tolerate(update_search_index(made, s));
  co_await tolerate(trigger_recommendation(made, s));
}

}  // namespace social
