// social_post: a post is moderated, its images are processed in parallel, and who follows hears of it after the answer
// SPDX-License-Identifier: MIT
#include "shared/run.hpp"
#include "shared/scenario.hpp"
#include "social_post/neighbours.hpp"
#include "social_post/social_post.hpp"

#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using social::post;
using social::post_request;

const std::vector<std::string> three_images{"https://photos.example/cup.jpg", "https://photos.example/pot.jpg",
                                            "https://photos.example/mill.jpg"};

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "social_post"};
  shop::database database;
  shop::store db = database.connect();
  social::surroundings around{database, scenario.seed()};
  scenario.after_each([&] { around.settle(); });

  const auto submit = [&](const std::string& json) {
    const post made = shop::run(social::create_post(json, around.all));  // and what it leaves to the background
    scenario.say("posted at " + made.created_at + ": " + made.content);
    return made;
  };
  const auto publish = [&](post_request request) { return submit(shop::to_json(request)); };
  const auto count = [&](const char* table) {
    return otlpkit::db::row{db.wrapped().query(std::string{"SELECT COUNT(*) FROM "} + table, {}), 0}.get<std::int64_t>(
        0);
  };

  scenario.act("A public post with three images, which are processed at the same time", [&] {
    const post made = publish({"u-1", "今天的咖啡", three_images, "public", {}});
    scenario.expect(made.images.size() == 3 && made.images[1] == "https://img.example/pot.jpg.webp", "three images");
    scenario.expect(count("timelines") == 3, "three followers who see it");
    scenario.expect(around.search.requests() == 1, "a post that can be found");
  });
  scenario.act("For friends: fewer see it, and it cannot be found", [&] {
    publish({"u-1", "Who comes along?", {}, "friends", "en"});
    scenario.expect(count("timelines") == 3 + 1, "one friend who sees it");
    scenario.expect(around.search.requests() == 1, "nothing more to be found");
  });
  scenario.act("For nobody but the author", [&] {
    publish({"u-1", "Note to self", {}, "private", "en"});
    scenario.expect(count("timelines") == 3 + 1, "nobody who sees it");
  });
  scenario.fault("content_refused", "Content that is refused is neither saved nor shown", [&] {
    const auto before = count("posts");
    scenario.expect_refused("content_violation", [&] {
      publish({"u-2", "A guaranteed profit for all!", three_images, "public", "en"});
    });
    scenario.expect(count("posts") == before, "as many posts as before");
  });
  scenario.fault("image_fails", "One image fails: the others are given up at once", [&] {
    const auto before = count("posts");
    around.media.take(200ms);
    scenario.expect_refused("image_refused", [&] {
      publish({"u-1", "Look", {three_images[0], "https://photos.example/broken.jpg", three_images[2]}, "public", "en"});
    });
    around.media.take(2ms);
    scenario.expect(count("posts") == before, "as many posts as before");
  });
  scenario.fault(
      "moderation_slow", "The moderation takes longer than the 2 s it has: what nobody judged is not published", [&] {
        around.moderation.slow_down(10s);
        scenario.expect_refused("moderation_unavailable", [&] { publish({"u-1", "Hello", {}, "public", "en"}); });
        around.moderation.slow_down(0ms);
      });
  scenario.fault("moderation_down", "The moderation is down", [&] {
    around.moderation.take_down(true);
    scenario.expect_refused("moderation_unavailable", [&] { publish({"u-1", "Hello", {}, "public", "en"}); });
    around.moderation.take_down(false);
  });
  scenario.fault("search_down", "Search is down: the post is there all the same, and the step after it is made", [&] {
    const auto told = around.recommendation.requests();
    around.search.take_down(true);
    publish({"u-2", "Found by nobody", {}, "public", "en"});
    around.search.take_down(false);
    scenario.expect(around.recommendation.requests() == told + 1, "a recommendation service that knows of it");
  });
  scenario.fault("unknown_user", "An author nobody knows", [&] {
    scenario.expect_refused("unknown_user", [&] { publish({"u-404", "Hi", {}, "public", {}}); });
  });
  scenario.fault("user_suspended", "An author who may not post", [&] {
    scenario.expect_refused("user_suspended", [&] { publish({"u-8", "Hi", {}, "public", {}}); });
  });
  scenario.fault("invalid_visibility", "A visibility there is not, too many images, a language that is none", [&] {
    scenario.expect_refused("invalid_visibility", [&] { publish({"u-1", "Hi", {}, "everybody", {}}); });
    scenario.expect_refused("invalid_images", [&] {
      publish({"u-1", "Hi", std::vector<std::string>(10, three_images[0]), "public", {}});
    });
    scenario.expect_refused("invalid_language", [&] { publish({"u-1", "Hi", {}, "public", "e'n"}); });
  });
  scenario.fault("invalid_json", "What is no JSON, or lacks a member", [&] {
    scenario.expect_refused("invalid_json", [&] { submit("{\"user_id\": "); });
    scenario.expect_refused("invalid_json", [&] { submit(R"({"user_id": "u-1", "content": "Hi", "images": []})"); });
  });
  return scenario.finish();
}
