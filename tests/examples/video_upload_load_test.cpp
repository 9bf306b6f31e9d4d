// SPDX-License-Identifier: MIT
// links: scenario_video_upload
#include "examples/load_recording.hpp"
#include "shared/load.hpp"
#include "shared/run.hpp"
#include "shared/sha256.hpp"
#include "support/sanitized.hpp"
#include "video_upload/surroundings.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <deque>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr int clients = 16;
constexpr int each = 70;
constexpr std::int64_t sizes[] = {20'000, 100'000, 300'000};

constexpr const char* waiting = "SELECT COUNT(*) FROM videos WHERE status = 'processing'";

/// What the clients were told.
struct answers {
  std::atomic<std::int64_t> uploaded{0}, bytes{0}, not_queued{0}, refused{0}, done{0};
};

void serve(int client, video::surroundings& around, const std::deque<video::sample_file>& files, answers& told) {
  static const char* const users[] = {"u-1", "u-2", "u-3", "u-8"};  // u-8 may not upload
  std::mt19937_64 random{static_cast<std::uint64_t>(client) + 1};
  for (int i = 0; i < each; ++i) {
    const auto which = random() % 4;  // the last is too large
    try {
      shop::run(video::upload(users[random() % 4], files[which].path(), around.all));
      ++told.uploaded;
      told.bytes += sizes[which];
    } catch (const shop::refused&) {
      ++told.refused;
    } catch (const shop::broker_unavailable&) {
      ++told.not_queued;
    }
    ++told.done;
  }
}

void run(bool disturbed) {
  load_recording recording;
  shop::database database;
  answers told;
  std::map<std::string, video::store_stub::object> objects;
  std::uint64_t failed_tasks = 0;
  {
    video::surroundings around{database};
    around.all.max_bytes = 300'000;
    std::deque<video::sample_file> files;
    for (const std::int64_t size : {sizes[0], sizes[1], sizes[2], sizes[2] + 1})
      files.emplace_back(static_cast<std::uint64_t>(size), 1);
    std::atomic<bool> over{false};
    std::thread transcoders{[&] {
      const auto crashed = shop::at_once(2, [&](int i) {
        video::transcoder one{around.broker, database.connect(), "transcoder-" + std::to_string(i)};
        if (i == 0) one.fail(20);
        while (!over) {
          const auto done = one.work(20ms);
          if (i == 0) failed_tasks += done.failed;
        }
      });
      for (const auto& e : crashed) MESSAGE(shop::message_of(e));
      CHECK(crashed.empty());
    }};
    std::thread disturber{[&] {
      if (!disturbed) return;
      const auto reach = [&](int share) {
        while (told.done < clients * each * share / 5) std::this_thread::sleep_for(1ms);
      };
      reach(1);
      around.store.take_down(true);
      reach(2);
      around.store.take_down(false);
      around.broker.take_down(true);
      reach(3);
      around.broker.take_down(false);
      around.store.cut_after(50'000);
      reach(4);
      around.store.cut_after(0);
    }};
    const auto thrown = shop::at_once(clients, [&](int client) { serve(client, around, files, told); });
    disturber.join();
    auto db = database.connect();
    for (int tries = 0; tries < 1'000 && db.query_one<std::int64_t>(waiting) > 0; ++tries)
      std::this_thread::sleep_for(10ms);
    over = true;
    transcoders.join();
    around.store.wait_until_idle();
    objects = around.store.objects();
    for (const auto& e : thrown) MESSAGE(shop::message_of(e));
    REQUIRE(thrown.empty());
  }

  auto db = database.connect();
  const auto number = [&db](const std::string& what) {
    return db.query_one<std::int64_t>("SELECT " + what + " FROM videos");
  };
  const auto count = [&](const std::string& status) {
    return db.query_one<std::int64_t>("SELECT COUNT(*) FROM videos WHERE status = $1", status);
  };
  CHECK(told.uploaded + told.refused + told.not_queued == clients * each);
  CHECK(count("processing") == 0);
  CHECK(count("ready") == told.uploaded);
  CHECK(count("not_queued") == told.not_queued);
  CHECK((disturbed ? told.not_queued > 0 : told.not_queued == 0));
  for (const auto& [key, size] : db.query_with(
           [](const otlpkit::db::row& r) {
             return std::pair{r.get<std::string>(0), r.get<std::int64_t>(1)};
           },
           "SELECT object_key, size_bytes FROM videos")) {
    REQUIRE(objects.contains(key));
    REQUIRE(objects[key].size == static_cast<std::uint64_t>(size));
  }
  CHECK(static_cast<std::int64_t>(objects.size()) == number("COUNT(*)"));

  recording.finish();
  CHECK(recording.sum("videos.uploaded") == told.uploaded);
  CHECK(recording.values("videos.size_bytes").first == static_cast<std::uint64_t>(told.uploaded.load()));
  CHECK(std::llround(recording.values("videos.size_bytes").second) == told.bytes);
  CHECK(recording.spans("video.upload", true) == static_cast<std::size_t>(told.refused + told.not_queued));
  // A task that takes longer than others wait for it is done twice, and makes no difference.
  CHECK(recording.spans("video.transcode") >= static_cast<std::size_t>(told.uploaded) + failed_tasks);
  CHECK(recording.spans("video.transcode", true) == failed_tasks);
  CHECK(recording.unclear() == "");
  MESSAGE(told.uploaded.load(), " uploads, ", told.refused.load(), " refused, ", told.not_queued.load(),
          " not queued, ", failed_tasks, " tasks failed once");
}

std::int64_t peak_kib() {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6));
  }
  return 0;
}

}  // namespace

TEST_CASE("a video is never in memory: 64 MiB arrive whole, and the process grows by less than 8") {
  shop::database database;
  video::surroundings around{database};
  around.all.max_bytes = 64 << 20;
  const video::sample_file warm_up{100'000, 1}, film{64 << 20, 2};
  shop::run(video::upload("u-1", warm_up.path(), around.all));
  const std::int64_t before = peak_kib();
  const auto taken = shop::run(video::upload("u-1", film.path(), around.all));
  const auto kept = around.store.objects().at("videos/u-1/" + taken.video_id + ".mp4");
  CHECK(kept.size == 64 << 20);
  CHECK(kept.sha256 == video::sha256_of_file(film.path()));
  MESSAGE("grown by ", peak_kib() - before, " KiB");
  CHECK((OTLPKIT_TEST_SANITIZED || peak_kib() - before < 8 * 1024));  // a sanitizer's allocator keeps what was freed
}

TEST_CASE("1,120 uploads of 16 clients: record, object, transcoding and telemetry of each are the same") { run(false); }

TEST_CASE("the same with store and broker gone, and connections cut, in the middle: nothing is half there") {
  run(true);
}
