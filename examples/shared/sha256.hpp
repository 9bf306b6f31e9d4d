// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace shop {

/// The SHA-256 of what comes in parts.
class sha256 {
 public:
  sha256();
  ~sha256();
  sha256(const sha256&) = delete;
  sha256& operator=(const sha256&) = delete;

  void add(std::string_view part);
  /// Of all that was added, in lowercase hex. The end: nothing is added any more.
  [[nodiscard]] std::string finish();

 private:
  struct state;
  std::unique_ptr<state> state_;
};

[[nodiscard]] std::string sha256_of(std::string_view text);

}  // namespace shop
