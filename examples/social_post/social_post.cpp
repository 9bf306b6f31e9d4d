// SPDX-License-Identifier: MIT
#include "social_post/social_post.hpp"

#include "shared/new_id.hpp"
#include "social_post/distribution.hpp"
#include "social_post/neighbours.hpp"

#include <otlpkit/asio/asio.hpp>
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/otlpkit.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <utility>

namespace asio = boost::asio;
namespace http = otlpkit::http;

namespace social {
namespace {

bool is_language(const std::string& tag) {
  return tag.size() >= 2 && tag.size() <= 35 && std::all_of(tag.begin(), tag.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
         });
}

void check(const post_request& request) {
  shop::check_id("user id", request.user_id);
  if (request.content.empty() || request.content.size() > 5'000)
    shop::refuse("invalid_content",
                 "content of " + std::to_string(request.content.size()) + " bytes: expected 1 to 5000");
  if (request.images.size() > 9)
    shop::refuse("invalid_images", std::to_string(request.images.size()) + " images: expected nine at most");
  for (const std::string& url : request.images) {
    if (!url.starts_with("https://") || url.size() > 300)
      shop::refuse("invalid_images", "an image is an https URL of 300 bytes at most");
  }
  if (request.visibility != "public" && request.visibility != "friends" && request.visibility != "private")
    shop::refuse("invalid_visibility", "a post is public, for friends or private");
  if (request.language && !is_language(*request.language))
    shop::refuse("invalid_language", "a language is a tag such as zh-CN");
}

asio::awaitable<void> check_author(const std::string& id, services& s) {
  const auto status = co_await otlpkit::offload(s.blocking, [&] {
    return s.database.acquire()->query_optional<std::string>("SELECT status FROM users WHERE id = $1", id);
  });
  if (!status) shop::refuse("unknown_user", "there is no user " + id);
  if (*status != "active") shop::refuse("user_suspended", "the user is " + *status);
}

asio::awaitable<moderation_answer> moderate(const post_request& request, services& s) {
  const std::string language = request.language.value_or("zh-CN");
  OTLPKIT_SPAN("content.moderate", {"language", language});
  const std::string question = shop::to_json(moderation_question{request.content, language});
  http::response answer;
  try {
    answer = co_await s.moderation.post("/moderate", question, "application/json", "/moderate");
  } catch (const boost::system::system_error& e) {  // what nobody has judged is not published
    shop::refuse("moderation_unavailable", e.code().message());
  }
  if (answer.result_int() != 200)
    shop::refuse("moderation_unavailable", "the moderation says " + std::to_string(answer.result_int()));
  auto judged = shop::from_json<moderation_answer>(answer.body());
  OTLPKIT_RECORD("approved", judged.approved);
  co_return judged;
}

/// \return the URL of the image as it is shown
asio::awaitable<std::string> process_image(const std::string& url, services& s) {
  OTLPKIT_SPAN("post.process_image", {"image", url});
  const std::string given = shop::to_json(image{url});
  http::response answer;
  try {
    answer = co_await s.media.post("/images", given, "application/json", "/images");
  } catch (const boost::system::system_error& e) {
    if (e.code() == asio::error::operation_aborted) throw;  // another image has failed, and this one is given up
    shop::refuse("media_unavailable", e.code().message());
  }
  if (answer.result_int() != 200) shop::refuse("image_refused", answer.body());
  co_return shop::from_json<image>(answer.body()).url;
}

/// All at once; the first that fails cancels the rest.
asio::awaitable<std::vector<std::string>> process_images(const std::vector<std::string>& urls, services& s) {
  std::vector<asio::awaitable<std::string>> work;
  for (const std::string& url : urls) work.push_back(process_image(url, s));
  return otlpkit::when_all(std::move(work));
}

void save(const post& made, shop::store& db) {
  auto tx = db.transaction();
  db.execute("INSERT INTO posts (id, user_id, content, visibility, created_at) VALUES ($1, $2, $3, $4, $5)", made.id,
             made.user_id, made.content, made.visibility, made.created_at);
  std::vector<otlpkit::db::parameter> values;
  std::int64_t position = 0;
  for (const std::string& url : made.images) values.insert(values.end(), {made.id, ++position, url});
  db.insert_rows("INSERT INTO post_images (post_id, position, url) VALUES", 3, values);
  tx.commit();
}

}  // namespace

asio::awaitable<post> create_post(std::string json, services& s) {
  OTLPKIT_SPAN("post.create");
  const auto request = shop::from_json<post_request>(json);
  OTLPKIT_RECORD("user_id", request.user_id);
  OTLPKIT_RECORD("image_count", request.images.size());
  check(request);
  co_await check_author(request.user_id, s);

  post made{shop::new_id("post"), request.user_id, request.content, {}, request.visibility, shop::utc_now()};
  OTLPKIT_RECORD("post_id", made.id);
  const moderation_answer judged = co_await moderate(request, s);
  if (!judged.approved) shop::refuse("content_violation", judged.reason);
  made.images = co_await process_images(request.images, s);
  co_await otlpkit::offload(s.blocking, [&] { save(made, *s.database.acquire()); });

  OTLPKIT_COUNTER("posts.created").add();
  otlpkit::spawn_detached("post.async_processing", distribute(made, s));
  co_return made;
}

}  // namespace social
