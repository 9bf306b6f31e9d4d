// SPDX-License-Identifier: MIT
#include "video_upload/video_upload.hpp"

#include "shared/new_id.hpp"

#include <otlpkit/asio/offload.hpp>
#include <otlpkit/otlpkit.hpp>

#include <exception>
#include <system_error>

namespace asio = boost::asio;

namespace video {
namespace {

constexpr double mib = 1 << 20;
constinit const otlpkit::histogram video_size{"videos.size_bytes",
                                              {.unit = "By",
                                               .description = "Size of uploaded videos",
                                               .bounds = {mib, 4 * mib, 16 * mib, 64 * mib, 256 * mib, 1024 * mib}}};

void check(const std::string& user_id, std::int64_t size, std::int64_t most) {
  shop::check_id("user id", user_id);
  if (size == 0) shop::refuse("empty_file", "there is nothing in the file");
  if (size > most)
    shop::refuse("file_too_large", std::to_string(size) + " bytes: expected " + std::to_string(most) + " at most");
}

asio::awaitable<void> check_user(const std::string& id, services& s) {
  const auto found = co_await otlpkit::offload(s.blocking, [&] {
    return s.database.acquire()->query_optional<std::string>("SELECT status FROM users WHERE id = $1", id);
  });
  if (!found) shop::refuse("unknown_user", "there is no user " + id);
  if (*found != "active") shop::refuse("user_suspended", "the user is " + *found);
}

asio::awaitable<void> put_object(const std::string& key, const std::filesystem::path& file, services& s) {
  const std::string sha256 = co_await otlpkit::offload(s.blocking, [&] { return sha256_of_file(file); });
  try {
    co_await s.store.put(key, file, sha256);
  } catch (const object_store_error& e) {
    shop::refuse("object_store_unavailable", e.what());
  }
}

/// Remembers the video, and tells those who transcode. Without them it is there all the same, and marked.
void hand_over(const transcoding_task& task, const std::string& user_id, std::int64_t size, services& s) {
  const auto db = s.database.acquire();
  db->execute(
      "INSERT INTO videos (id, user_id, object_key, size_bytes, status, created_at) "
      "VALUES ($1, $2, $3, $4, 'processing', $5)",
      task.video_id, user_id, task.object_key, size, shop::utc_now());
  try {
    s.tasks.publish("transcoding", {.body = shop::to_json(task)});  // the message carries the trace on
  } catch (const std::exception&) {
    db->execute("UPDATE videos SET status = 'not_queued' WHERE id = $1", task.video_id);
    throw;
  }
}

}  // namespace

asio::awaitable<upload_result> upload(std::string user_id, std::filesystem::path file, services& s) {
  std::error_code unreadable;
  const auto found = std::filesystem::file_size(file, unreadable);
  const std::int64_t size = unreadable ? 0 : static_cast<std::int64_t>(found);
  OTLPKIT_SPAN("video.upload", {"user_id", user_id}, {"file_size", size});
  check(user_id, size, s.max_bytes);
  co_await check_user(user_id, s);

  const std::string id = shop::new_id("video");
  const transcoding_task task{id, "videos/" + user_id + "/" + id + ".mp4"};
  OTLPKIT_RECORD("video_id", id);
  co_await put_object(task.object_key, file, s);
  co_await otlpkit::offload(s.blocking, [&] { hand_over(task, user_id, size, s); });

  OTLPKIT_COUNTER("videos.uploaded").add();
  video_size.record(static_cast<double>(size));
  co_return upload_result{id, "processing"};
}

}  // namespace video
