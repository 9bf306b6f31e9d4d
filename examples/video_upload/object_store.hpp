// SPDX-License-Identifier: MIT
#pragma once

#include "shared/aws_signature.hpp"

#include <otlpkit/http/client_options.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>

namespace video {

/// The object store did not take an object.
class object_store_error : public std::runtime_error {
 public:
  using runtime_error::runtime_error;
};

/// A bucket of an object store that speaks the S3 API.
class object_store {
 public:
  /// \param url "http://host:port"
  object_store(std::string url, std::string bucket, shop::aws_credentials by)
      : url_{std::move(url)}, bucket_{std::move(bucket)}, by_{std::move(by)} {}

  /// Puts a file there under `key`: it is read and sent in parts, twice: for its hash, which is signed, and as the
  /// body. \param sha256 of the file Throws object_store_error.
  boost::asio::awaitable<void> put(std::string key, std::filesystem::path file, std::string sha256) const;

 private:
  std::string url_;
  std::string bucket_;
  shop::aws_credentials by_;
  std::chrono::seconds timeout_{30};
  otlpkit::http::client_options options_;
};

/// The SHA-256 of a file, which is read in parts.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace video
