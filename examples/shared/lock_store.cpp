// SPDX-License-Identifier: MIT
#include "shared/lock_store.hpp"

#include "shared/redis_server.hpp"

#include <otlpkit/lock/lock_store.hpp>

namespace shop {
namespace {

#ifdef SHOP_HAS_REDIS
struct in_redis {
  redis_part part{"locks"};
  otlpkit::redis::lock_store store{part.server(), part.prefix()};
};
#endif

}  // namespace

struct lock_store::places {
  otlpkit::lock::memory_lock_store here;
#ifdef SHOP_HAS_REDIS
  std::optional<in_redis> there;
#endif
};

lock_store::lock_store() : places_{std::make_unique<places>()} {
#ifdef SHOP_HAS_REDIS
  if (redis_wanted()) places_->there.emplace();
#else
  static_cast<void>(redis_wanted());
#endif
}

lock_store::~lock_store() = default;

template <class Call>
auto lock_store::there(Call call) {
  if (down_) throw locks_unavailable{};
#ifdef SHOP_HAS_REDIS
  if (places_->there) return call(places_->there->store);
#endif
  return call(places_->here);
}

std::optional<std::uint64_t> lock_store::acquire(std::string_view key, std::string_view owner,
                                                 std::chrono::nanoseconds ttl) {
  return there([&](auto& store) { return store.acquire(key, owner, ttl); });
}
bool lock_store::renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
  return there([&](auto& store) { return store.renew(key, owner, ttl); });
}
bool lock_store::release(std::string_view key, std::string_view owner) {
  return there([&](auto& store) { return store.release(key, owner); });
}

}  // namespace shop
