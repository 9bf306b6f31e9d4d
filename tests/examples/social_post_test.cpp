// SPDX-License-Identifier: MIT
// needs: example_social_post
#include "examples/short_shape.hpp"

#include <doctest/doctest.h>

#include <string>

namespace {

/// What is approved, in this language.
std::string approved(const std::string& language) {
  return "├─ SELECT users\n├─ content.moderate [language=" + language + R"( approved=true]
│  └─ POST /moderate
│     └─ POST /moderate
)";
}

constexpr const char* saved = R"(
  ├─ BEGIN
  ├─ INSERT posts
  ├─ COMMIT
)";

std::string image(const std::string& name) {
  return "├─ post.process_image [image=https://photos.example/" + name + R"(]
│  └─ POST /images
│     └─ POST /images
)";
}

}  // namespace

TEST_CASE("a post has its images beside each other, and what follows the answer in the same trace") {
  const scenario_run run = run_scenario("social_post");
  CHECK(run.status == 0);
  CHECK(short_diff(run, "A public post",
                   tree("post.create [user_id=u-1 image_count=3 post_id=post-ID]",
                        {approved("zh-CN"), image("cup.jpg"), image("pot.jpg"), image("mill.jpg"), R"(
    ├─ BEGIN
    ├─ INSERT posts
    ├─ BATCH INSERT post_images
    ├─ COMMIT
    └─ post.async_processing [detached]
       ├─ post.push_to_followers [visibility=public]
       │  └─ INSERT timelines SELECT follows
       ├─ post.update_search_index
       │  └─ PUT /posts/{id}
       │     └─ PUT /posts/{id}
       └─ post.trigger_recommendation
          └─ POST /events
             └─ POST /events
  )"})) == "");
  CHECK(short_diff(run, "For friends",
                   tree("post.create [user_id=u-1 image_count=0 post_id=post-ID]", {approved("en"), saved, R"(
    └─ post.async_processing [detached]
       └─ post.push_to_followers [visibility=friends]
          └─ INSERT timelines SELECT follows SELECT follows
  )"})) == "");
  CHECK(short_diff(run, "For nobody",
                   tree("post.create [user_id=u-1 image_count=0 post_id=post-ID]", {approved("en"), saved, R"(
    └─ post.async_processing [detached]
       └─ post.push_to_followers [visibility=private]
  )"})) == "");
  CHECK(run.output.find("posts.created 4\n") != std::string::npos);

  CHECK(short_diff(run, "Content that is refused", R"(
    post.create [user_id=u-2 image_count=3 post_id=post-ID error.type=content_violation] !ERROR(it promises a guaranteed profit)
    ├─ SELECT users
    └─ content.moderate [language=en approved=false]
       └─ POST /moderate
          └─ POST /moderate
  )") == "");
  CHECK(short_diff(run, "One image fails",
                   tree("post.create [user_id=u-1 image_count=3 post_id=post-ID error.type=exception] !ERROR(left by "
                        "an exception)",
                        {approved("en"), image("cup.jpg otlpkit.cancelled=true"), R"(
    ├─ post.process_image [image=https://photos.example/broken.jpg error.type=image_refused] !ERROR(broken.jpg is no image)
    │  └─ POST /images !ERROR
    │     └─ POST /images
    └─ post.process_image [image=https://photos.example/mill.jpg otlpkit.cancelled=true]
       └─ POST /images
          └─ POST /images
  )"})) == "");
  CHECK(short_diff(run, "The moderation takes longer", R"(
    post.create [user_id=u-1 image_count=0 post_id=post-ID error.type=exception] !ERROR(left by an exception)
    ├─ SELECT users
    └─ content.moderate [language=en error.type=moderation_unavailable] !ERROR(The socket was closed due to a timeout)
       └─ POST /moderate !ERROR(The socket was closed due to a timeout)
          └─ POST /moderate
  )") == "");
  CHECK(short_diff(run, "Search is down",
                   tree("post.create [user_id=u-2 image_count=0 post_id=post-ID]", {approved("en"), saved, R"(
    └─ post.async_processing [detached]
       ├─ post.push_to_followers [visibility=public]
       │  └─ INSERT timelines SELECT follows
       ├─ post.update_search_index [error.type=exception] !ERROR(left by an exception)
       │  └─ PUT /posts/{id} !ERROR(Connection refused)
       └─ post.trigger_recommendation
          └─ POST /events
             └─ POST /events
  )"})) == "");
  CHECK(short_diff(run, "What is no JSON", R"(
    post.create [error.type=invalid_json] !ERROR(no JSON: incomplete JSON)

    post.create [error.type=invalid_json] !ERROR(visibility: expected a value, and there is none)
  )") == "");
}

TEST_CASE("what makes no sense is refused before anybody is asked") {
  const scenario_run run = run_scenario("social_post", "--shape --fault invalid_visibility");
  CHECK(run.status == 0);
  CHECK(short_diff(run, "A visibility there is not", R"(
    post.create [user_id=u-1 image_count=0 error.type=invalid_language] !ERROR(a language is a tag such as zh-CN)

    post.create [user_id=u-1 image_count=0 error.type=invalid_visibility] !ERROR(a post is public, for friends or private)

    post.create [user_id=u-1 image_count=10 error.type=invalid_images] !ERROR(10 images: expected nine at most)
  )") == "");
}

TEST_CASE("--fault plays only that path, refused where the reason is") {
  const scenario_run down = run_scenario("social_post", "--shape --fault moderation_down");
  CHECK(down.status == 0);
  CHECK(short_diff(down, "The moderation is down", R"(
    post.create [user_id=u-1 image_count=0 post_id=post-ID error.type=exception] !ERROR(left by an exception)
    ├─ SELECT users
    └─ content.moderate [language=en error.type=moderation_unavailable] !ERROR(Connection refused)
       └─ POST /moderate !ERROR(Connection refused)
  )") == "");
  CHECK(short_diff(run_scenario("social_post", "--shape --fault unknown_user"), "An author nobody knows", R"(
    post.create [user_id=u-404 image_count=0 error.type=unknown_user] !ERROR(there is no user u-404)
    └─ SELECT users
  )") == "");
  CHECK(short_diff(run_scenario("social_post", "--shape --fault user_suspended"), "An author who may not", R"(
    post.create [user_id=u-8 image_count=0 error.type=user_suspended] !ERROR(the user is suspended)
    └─ SELECT users
  )") == "");
}
