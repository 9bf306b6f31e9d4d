// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/json.hpp"
#include "shared/message_broker.hpp"
#include "video_upload/object_store.hpp"

#include <otlpkit/messaging/producer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <filesystem>
#include <string>

namespace video {

struct upload_result {
  std::string video_id;
  std::string status;  ///< "processing"
};

/// A message to those who transcode.
struct transcoding_task {
  std::string video_id;
  std::string object_key;
};
BOOST_DESCRIBE_STRUCT(transcoding_task, (), (video_id, object_key))

/// What uploads need. All of it may be shared by many uploads at once.
struct services {
  shop::store_pool& database;
  boost::asio::thread_pool& blocking;  ///< runs what blocks: statements, files, the broker's calls
  object_store store;
  otlpkit::messaging::traced_producer<shop::message_broker&> tasks;
  std::int64_t max_bytes = 16 << 20;  ///< of a video
};

/// Takes a video: puts it into the object store, remembers it as being processed, and has it transcoded, which nobody
/// waits for. Refused are users who may not upload, files that are empty or too large, and all while the store cannot
/// take them. `s` must live until the end.
boost::asio::awaitable<upload_result> upload(std::string user_id, std::filesystem::path file, services& s);

}  // namespace video
