// SPDX-License-Identifier: MIT
#pragma once

#include "shared/json.hpp"
#include "shared/service_thread.hpp"
#include "shared/stub_service.hpp"
#include "social_post/social_post.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace social {

struct moderation_question {
  std::string content;
  std::string language;
};
struct moderation_answer {
  bool approved = false;
  std::string reason;  ///< why not
};
/// What the media service is given, and what it gives back.
struct image {
  std::string url;
};
struct new_post {
  std::string post_id;
  std::string user_id;
};
BOOST_DESCRIBE_STRUCT(moderation_question, (), (content, language))
BOOST_DESCRIBE_STRUCT(moderation_answer, (), (approved, reason))
BOOST_DESCRIBE_STRUCT(image, (), (url))
BOOST_DESCRIBE_STRUCT(new_post, (), (post_id, user_id))

/// Answers POST /moderate: it knows a few words in two languages, and 422 for other languages.
[[nodiscard]] shop::stub_service moderation_service(std::uint64_t seed);

/// Answers POST /images: that an image is broken (its name says so) is found out at once, others take their time, and
/// many are processed at the same time.
class media_service {
 public:
  explicit media_service(std::uint64_t seed);
  ~media_service();
  media_service(const media_service&) = delete;
  media_service& operator=(const media_service&) = delete;

  [[nodiscard]] const std::string& url() const noexcept;
  /// How long images that are not broken take.
  void take(std::chrono::milliseconds each);
  /// Waits until no request is being served, those that clients have given up included.
  void wait_until_idle();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// What stands around posts in scenarios and tests.
struct surroundings {
  surroundings(const shop::database& db, std::uint64_t seed)
      : database{db.pool()}, moderation{moderation_service(seed)}, media{seed},
        search{{{"PUT", "/posts/{id}", [](const auto&) { return otlpkit::http::reply(200); }}}, {.seed = seed}},
        recommendation{{{"POST", "/events", [](const auto&) { return otlpkit::http::reply(202); }}}, {.seed = seed}} {}

  /// Waits until the services have nothing to do.
  void settle() {
    media.wait_until_idle();
    for (shop::stub_service* s : {&moderation, &search, &recommendation}) s->wait_until_idle();
  }

  shop::store_pool database;
  shop::stub_service moderation;
  media_service media;
  shop::stub_service search;
  shop::stub_service recommendation;
  boost::asio::thread_pool blocking{4};
  services all{.database = database,
               .blocking = blocking,
               .moderation = otlpkit::http::client{moderation.url(), {.timeout = std::chrono::seconds{2}}},
               .media = otlpkit::http::client{media.url(), {.timeout = std::chrono::seconds{10}}},
               .search = otlpkit::http::client{search.url(), {.timeout = std::chrono::seconds{5}}},
               .recommendation = otlpkit::http::client{recommendation.url(), {.timeout = std::chrono::seconds{5}}}};
};

}  // namespace social
