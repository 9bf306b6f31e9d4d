// SPDX-License-Identifier: MIT
#pragma once

#include "shared/new_id.hpp"
#include "video_upload/store_stub.hpp"
#include "video_upload/transcoder.hpp"
#include "video_upload/video_upload.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace video {

/// A file with so many bytes of noise, for as long as it lives.
class sample_file {
 public:
  sample_file(std::uint64_t bytes, std::uint64_t seed)
      : path_{std::filesystem::temp_directory_path() / shop::new_id("otlpkit-video")} {
    std::mt19937_64 random{seed};
    std::vector<std::uint64_t> part(8 * 1024);
    for (std::uint64_t& noise : part) noise = random();
    std::ofstream out{path_, std::ios::binary};
    for (std::uint64_t left = bytes; left > 0;) {
      const std::uint64_t now = std::min<std::uint64_t>(left, part.size() * sizeof part[0]);
      out.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(now));
      left -= now;
    }
  }
  sample_file(const sample_file&) = delete;
  sample_file& operator=(const sample_file&) = delete;
  ~sample_file() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// What stands around uploads in scenarios and tests: database, broker, and an object store as a stub.
struct surroundings {
  explicit surroundings(const shop::database& db) : database{db.pool()} {}

  shop::store_pool database;
  shop::aws_credentials credentials{"AKIAVIDEO", "a secret that nobody prints"};
  store_stub store{"media", credentials};
  shop::message_broker broker{std::chrono::milliseconds{50}};
  boost::asio::thread_pool blocking{4};
  services all{.database = database,
               .blocking = blocking,
               .store = object_store{store.url(), "media", credentials},
               .tasks = otlpkit::messaging::traced_producer<shop::message_broker&>{broker}};
};

}  // namespace video
