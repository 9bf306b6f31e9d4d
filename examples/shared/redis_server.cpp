// SPDX-License-Identifier: MIT
#include "shared/redis_server.hpp"

#include "shared/new_id.hpp"
#include "shared/untraced.hpp"

#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

namespace shop {
namespace {

std::string redis_url() {
  const char* const url = std::getenv("REDIS_URL");
  return url != nullptr ? url : "";
}

}  // namespace

#ifdef SHOP_HAS_REDIS

bool redis_wanted() { return !redis_url().empty(); }

redis_part::redis_part(std::string_view what)
    : server_{{.url = redis_url()}}, prefix_{new_id("shop:" + std::string{what}) + ":"} {}

redis_part::~redis_part() {
  const untraced quietly;
  try {
    const std::string pattern = prefix_ + "*";
    std::string cursor = "0";
    do {
      const auto page = server_.command("SCAN", cursor, "MATCH", pattern, "COUNT", 1'000);
      for (std::size_t i = 0; i < page[1].size(); ++i) server_.command("DEL", page[1][i].text());
      cursor = page[0].text();
    } while (cursor != "0");
  } catch (const std::exception&) {  // the server is gone; what has a time to live goes with that
  }
}

#else

bool redis_wanted() {
  if (redis_url().empty()) return false;
  throw std::runtime_error{"REDIS_URL asks for Redis, and this was built without hiredis"};
}

#endif

}  // namespace shop
