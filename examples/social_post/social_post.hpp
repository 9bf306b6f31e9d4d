// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/json.hpp"

#include <otlpkit/http/client.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <optional>
#include <string>
#include <vector>

namespace social {

struct post_request {
  std::string user_id;
  std::string content;
  std::vector<std::string> images;      ///< https URLs, at most nine
  std::string visibility;               ///< "public", "friends" or "private"
  std::optional<std::string> language;  ///< of the content, as in BCP 47; nothing said: "zh-CN"
};
BOOST_DESCRIBE_STRUCT(post_request, (), (user_id, content, images, visibility, language))

struct post {
  std::string id;
  std::string user_id;
  std::string content;
  std::vector<std::string> images;  ///< as the media service made them
  std::string visibility;
  std::string created_at;  ///< UTC
};
BOOST_DESCRIBE_STRUCT(post, (), (id, user_id, content, images, visibility, created_at))

/// What posts need. All of it may be shared by many posts at once.
struct services {
  shop::store_pool& database;
  boost::asio::thread_pool& blocking;  ///< runs statements
  otlpkit::http::client moderation;    ///< 2 s for an answer
  otlpkit::http::client media;
  otlpkit::http::client search;
  otlpkit::http::client recommendation;
};

/// Publishes a post, a post_request as JSON: its content is moderated, its images are processed, it is saved.
/// Followers, search and recommendation hear of it after the answer. Refused are posts that make no sense, that the
/// moderation does not approve or cannot judge, and posts with an image that cannot be used. `s` must live until what
/// follows the answer is done, too.
boost::asio::awaitable<post> create_post(std::string json, services& s);

}  // namespace social
