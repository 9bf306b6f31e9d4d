// video_upload: a video streams from its file to an object store, and a message has it transcoded, in the same trace
// SPDX-License-Identifier: MIT
#include "shared/run.hpp"
#include "shared/scenario.hpp"
#include "video_upload/surroundings.hpp"

#include <chrono>
#include <filesystem>
#include <string>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "video_upload"};
  shop::database database;
  shop::store db = database.connect();
  video::surroundings around{database};
  video::transcoder transcoder{around.broker, database.connect(), "transcoder-1"};
  const video::sample_file holiday{6 << 20, scenario.seed()};
  scenario.after_each([&] { around.store.wait_until_idle(); });

  const auto upload = [&](const std::string& user, const std::filesystem::path& file) {
    const auto taken = shop::run(video::upload(user, file, around.all));
    scenario.say(user + " has uploaded a video, which is " + taken.status);
    return taken.video_id;
  };
  const auto count = [&](const std::string& status) {
    const otlpkit::db::parameter values[] = {status};
    const auto rows = db.wrapped().query("SELECT COUNT(*) FROM videos WHERE status = $1", values);
    return otlpkit::db::row{rows, 0}.get<std::int64_t>(0);
  };

  scenario.act("A video of 6 MiB, never in memory as a whole; who transcodes it continues the trace", [&] {
    const std::string id = upload("u-1", holiday.path());
    scenario.expect(around.store.objects().at("videos/u-1/" + id + ".mp4").size == 6 << 20, "an object of 6 MiB");
    scenario.expect(count("processing") == 1, "a video that is being processed");
    scenario.expect(transcoder.work(1s).processed == 1 && count("ready") == 1, "a video that is ready");
  });
  scenario.fault("transcoding_fails", "The encoder crashes: the task comes again, and the trace has both attempts",
                 [&] {
                   const auto ready = count("ready");
                   transcoder.fail(1);
                   upload("u-2", holiday.path());
                   scenario.expect(transcoder.work(1s).failed == 1 && count("ready") == ready, "a failure");
                   for (int tries = 0; tries < 100 && transcoder.work(20ms).processed == 0;) ++tries;
                   scenario.expect(count("ready") == ready + 1, "a video that is ready after all");
                 });
  scenario.fault("object_store_down", "The object store is down: there is no record of a video that is nowhere", [&] {
    around.store.take_down(true);
    scenario.expect_refused("object_store_unavailable", [&] { upload("u-1", holiday.path()); });
    around.store.take_down(false);
    scenario.expect(count("processing") == 0, "nothing to process");
  });
  scenario.fault("connection_cut", "The store goes away when it has two of six MiB", [&] {
    const auto objects = around.store.objects().size();
    around.store.cut_after(2 << 20);
    scenario.expect_refused("object_store_unavailable", [&] { upload("u-1", holiday.path()); });
    around.store.cut_after(0);
    scenario.expect(around.store.objects().size() == objects, "no half of an object");
  });
  scenario.fault("wrong_signature", "A wrong secret: the store says so", [&] {
    video::services thief{.database = around.database,
                          .blocking = around.blocking,
                          .store = {around.store.url(), "media", {"AKIAVIDEO", "guessed"}},
                          .tasks = around.all.tasks};
    scenario.expect_refused("object_store_unavailable",
                            [&] { shop::run(video::upload("u-1", holiday.path(), thief)); });
  });
  scenario.fault("file_too_large", "More than may be uploaded: nothing is sent", [&] {
    const video::sample_file film{17 << 20, scenario.seed()};
    scenario.expect_refused("file_too_large", [&] { upload("u-1", film.path()); });
  });
  scenario.fault("empty_file", "A file that is not there, or has nothing in it",
                 [&] { scenario.expect_refused("empty_file", [&] { upload("u-1", "/nowhere/film.mp4"); }); });
  scenario.fault("unknown_user", "A user nobody knows, and one who may not upload", [&] {
    scenario.expect_refused("unknown_user", [&] { upload("u-404", holiday.path()); });
    scenario.expect_refused("user_suspended", [&] { upload("u-8", holiday.path()); });
  });
  scenario.fault("broker_down",
                 "The broker is down: the video is kept, and marked as one that waits for its transcoding", [&] {
                   around.broker.take_down(true);
                   scenario.expect_failure<shop::broker_unavailable>([&] { upload("u-1", holiday.path()); });
                   around.broker.take_down(false);
                   scenario.expect(count("not_queued") == 1, "a video that is marked");
                 });
  return scenario.finish();
}
