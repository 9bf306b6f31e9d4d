// SPDX-License-Identifier: MIT
// needs: example_video_upload
#include "examples/short_shape.hpp"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("an upload goes on in the store and in the transcoding, in one trace") {
  const scenario_run run = run_scenario("video_upload");
  CHECK(run.status == 0);
  CHECK(short_diff(run, "A video of 6 MiB", R"(
    receive transcoding

    video.upload [user_id=u-1 file_size=6291456 video_id=video-ID]
    ├─ SELECT users
    ├─ PUT /{bucket}/{key}
    │  └─ PUT /{bucket}/{key}
    ├─ INSERT videos
    └─ send transcoding
       └─ process transcoding
          ├─ video.transcode [video_id=video-ID again=false]
          │  └─ UPDATE videos
          └─ ack transcoding
  )") == "");
  CHECK(short_diff(run, "The encoder crashes", R"(
    receive transcoding

    receive transcoding

    video.upload [user_id=u-2 file_size=6291456 video_id=video-ID]
    ├─ SELECT users
    ├─ PUT /{bucket}/{key}
    │  └─ PUT /{bucket}/{key}
    ├─ INSERT videos
    └─ send transcoding
       ├─ process transcoding std::runtime_error !ERROR(the encoder has crashed)
       │  │  · exception std::runtime_error: the encoder has crashed
       │  └─ video.transcode [video_id=video-ID again=false error.type=exception] !ERROR(left by an exception)
       └─ process transcoding
          ├─ video.transcode [video_id=video-ID again=true]
          │  └─ UPDATE videos
          └─ ack transcoding
  )") == "");
  CHECK(run.output.find("videos.uploaded 2\n") != std::string::npos);
  CHECK(run.output.find("videos.size_bytes 2 values, sum 1.25829e+07\n") != std::string::npos);

  CHECK(short_diff(run, "The object store is down", R"(
    video.upload [user_id=u-1 file_size=6291456 video_id=video-ID error.type=object_store_unavailable] !ERROR(Connection refused)
    ├─ SELECT users
    └─ PUT /{bucket}/{key} !ERROR(Connection refused)
  )") == "");
  CHECK(short_diff(run, "A wrong secret", R"(
    video.upload [user_id=u-1 file_size=6291456 video_id=video-ID error.type=object_store_unavailable] !ERROR(it says <Error><Code>SignatureDoesNotMatch</Code></Error>)
    ├─ SELECT users
    └─ PUT /{bucket}/{key} !ERROR
       └─ PUT /{bucket}/{key}
  )") == "");
  CHECK(short_diff(run, "More than may be uploaded", R"(
    video.upload [user_id=u-1 file_size=17825792 error.type=file_too_large] !ERROR(17825792 bytes: expected 16777216 at most)
  )") == "");
  CHECK(short_diff(run, "A file that is not there", R"(
    video.upload [user_id=u-1 file_size=0 error.type=empty_file] !ERROR(there is nothing in the file)
  )") == "");
  CHECK(short_diff(run, "A user nobody knows", R"(
    video.upload [user_id=u-404 file_size=6291456 error.type=unknown_user] !ERROR(there is no user u-404)
    └─ SELECT users

    video.upload [user_id=u-8 file_size=6291456 error.type=user_suspended] !ERROR(the user is suspended)
    └─ SELECT users
  )") == "");
  CHECK(short_diff(run, "The broker is down", R"(
    video.upload [user_id=u-1 file_size=6291456 video_id=video-ID error.type=exception] !ERROR(left by an exception)
    ├─ SELECT users
    ├─ PUT /{bucket}/{key}
    │  └─ PUT /{bucket}/{key}
    ├─ INSERT videos
    ├─ send transcoding shop::broker_unavailable !ERROR(the broker does not answer)
    │     · exception shop::broker_unavailable: the broker does not answer
    └─ UPDATE videos
  )") == "");
}

TEST_CASE("a connection that is cut fails on both sides of the call, and how it is noticed is the system's choice") {
  const scenario_run run = run_scenario("video_upload", "--shape --fault connection_cut");
  CHECK(run.status == 0);
  std::string trees = short_trees(run, "The store goes away");
  const std::regex how{"Connection reset by peer|Broken pipe|end of stream"};
  trees = std::regex_replace(trees, how, "CUT");
  CHECK(otlpkit::testing::text_diff(otlpkit::testing::dedent(R"(
    video.upload [user_id=u-1 file_size=6291456 video_id=video-ID error.type=object_store_unavailable] !ERROR(CUT)
    ├─ SELECT users
    └─ PUT /{bucket}/{key} !ERROR(CUT)
       └─ PUT /{bucket}/{key} !ERROR
  )"),
                                    trees) == "");
}
