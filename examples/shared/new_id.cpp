// SPDX-License-Identifier: MIT
#include "shared/new_id.hpp"

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <random>

namespace shop {

std::string new_id(std::string_view prefix) {
  thread_local std::mt19937_64 random = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64{seed};
  }();
  char digits[24];
  std::snprintf(digits, sizeof digits, "-%016llx", static_cast<unsigned long long>(random()));
  return std::string{prefix} + digits;
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[24];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace shop
