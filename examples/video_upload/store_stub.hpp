// SPDX-License-Identifier: MIT
#pragma once

#include "shared/aws_signature.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace video {

/// Stands in for an object store with the S3 API, on 127.0.0.1: PUT /{bucket}/{key}, with signature and hash checked.
/// Of an object it keeps what it would have to know of it, and reads the body in parts of 16 KiB. All members may be
/// called from any thread.
class store_stub {
 public:
  struct object {
    std::uint64_t size = 0;
    std::string sha256;
  };

  store_stub(std::string bucket, shop::aws_credentials of_user);
  ~store_stub();
  store_stub(const store_stub&) = delete;
  store_stub& operator=(const store_stub&) = delete;

  /// "http://127.0.0.1:PORT"; it stays while the store is down.
  [[nodiscard]] const std::string& url() const noexcept;
  [[nodiscard]] std::map<std::string, object> objects() const;

  /// Down: new connections are refused.
  void take_down(bool down);
  /// Connections are cut after so many bytes of a body; 0: none is.
  void cut_after(std::uint64_t bytes);
  /// Waits until no request is being served.
  void wait_until_idle();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace video
