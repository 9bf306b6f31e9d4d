// SPDX-License-Identifier: MIT
// links: scenario_social_post
#include "examples/load_progress.hpp"
#include "examples/load_recording.hpp"
#include "shared/load.hpp"
#include "shared/run.hpp"
#include "social_post/neighbours.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>

namespace {

constexpr int clients = 16;
constexpr int each = 130;

/// What the clients were told.
struct answers {
  std::atomic<std::int64_t> created{0}, images{0}, reached{0}, found{0}, refused{0};
  load_progress progress{clients * each};
};

social::post_request some_request(std::mt19937_64& random) {
  static const char* const authors[] = {"u-1", "u-2", "u-3", "u-8"};  // u-8 may not post
  static const char* const visibilities[] = {"public", "friends", "private"};
  social::post_request r{authors[random() % 4], "Coffee", {}, visibilities[random() % 3], "en"};
  for (auto n = random() % 4; n > 0; --n) r.images.push_back("https://photos.example/" + std::to_string(n) + ".jpg");
  if (random() % 10 == 0) r.images.push_back("https://photos.example/broken.jpg");
  if (random() % 10 == 0) r.content = "A guaranteed profit";
  if (random() % 20 == 0) r.visibility = "everybody";
  return r;
}

boost::asio::awaitable<int> serve(int client, social::services& s, answers& told) {
  std::mt19937_64 random{static_cast<std::uint64_t>(client) + 1};
  for (int i = 0; i < each; ++i) {
    const auto request = some_request(random);
    const bool everybody = request.visibility == "public", friends = request.visibility == "friends";
    try {
      const social::post made = co_await social::create_post(shop::to_json(request), s);
      ++told.created;
      told.images += static_cast<std::int64_t>(made.images.size());
      told.found += everybody ? 1 : 0;
      if (made.user_id == "u-1") told.reached += everybody ? 3 : friends ? 1 : 0;
      if (made.user_id == "u-2") told.reached += everybody || friends ? 1 : 0;
    } catch (const shop::refused&) {
      ++told.refused;
    }
    told.progress.one_done();
  }
  co_return each;
}

/// \param disturb runs on this thread meanwhile
void run(const std::function<void(social::surroundings&, const load_progress&)>& disturb, bool undisturbed) {
  load_recording recording;
  shop::database database;
  social::surroundings around{database, 1};
  answers told;
  std::thread disturber{[&] { disturb(around, told.progress); }};
  const auto thrown = shop::at_once(clients, [&](int client) { shop::run(serve(client, around.all, told)); });
  disturber.join();
  around.settle();

  for (const auto& e : thrown) MESSAGE(shop::message_of(e));
  REQUIRE(thrown.empty());
  auto db = database.connect();
  const auto count = [&db](const std::string& what) {
    return db.query_one<std::int64_t>("SELECT COUNT(*) FROM " + what);
  };
  CHECK(told.created + told.refused == clients * each);
  CHECK(count("posts") == told.created);
  CHECK(count("post_images") == told.images);
  CHECK(count("post_images WHERE url LIKE '%broken%' OR url NOT LIKE 'https://img.example/%'") == 0);
  CHECK(count("timelines") == told.reached);
  CHECK(count("timelines t JOIN posts p ON p.id = t.post_id WHERE p.visibility = 'private'") == 0);
  CHECK(around.recommendation.requests() == told.found);
  CHECK((undisturbed ? around.search.requests() == told.found : around.search.requests() < told.found));

  recording.finish();
  CHECK(recording.sum("posts.created") == told.created);
  CHECK(recording.spans("post.create") == clients * each);
  CHECK(recording.spans("post.create", true) == static_cast<std::size_t>(told.refused));
  CHECK(recording.spans("post.async_processing") == static_cast<std::size_t>(told.created));
  CHECK(recording.spans("post.update_search_index") == static_cast<std::size_t>(told.found));
  CHECK(recording.failures() == static_cast<std::size_t>(told.refused));
  CHECK(recording.unclear() == "");
  MESSAGE(told.created.load(), " posts, ", told.refused.load(), " refused");
}

}  // namespace

TEST_CASE("2,080 posts of 16 clients: what is told, what is kept and what telemetry says are the same") {
  run([](social::surroundings&, const load_progress&) {}, true);
}

TEST_CASE("the same with search gone for a third of the time: posts are kept, and each failure has one cause") {
  run(
      [](social::surroundings& around, const load_progress& progress) {
        progress.wait_for(1.0 / 3);
        around.search.take_down(true);
        progress.wait_for(2.0 / 3);
        around.search.take_down(false);
      },
      false);
}
