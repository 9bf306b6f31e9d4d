// SPDX-License-Identifier: MIT
#include "shared/shared_cache.hpp"

#include "shared/redis_server.hpp"

#include <otlpkit/cache/memory_cache.hpp>

#include <chrono>
#include <mutex>
#include <random>
#include <thread>

namespace shop {
namespace {

/// A cache in this process, as far away as a server in the next rack.
class stand_in {
 public:
  explicit stand_in(std::uint64_t seed) : random_{seed} {}

  std::optional<std::string> get(std::string_view key) {
    travel();
    return entries_.get(key);
  }
  void set(std::string_view key, std::string_view text, otlpkit::cache::time_to_live ttl) {
    travel();
    entries_.set(key, std::string{text}, ttl);
  }
  bool erase(std::string_view key) {
    travel();
    return entries_.erase(key);
  }

 private:
  void travel() {
    std::chrono::microseconds latency{};
    {
      const std::lock_guard lock{mutex_};
      latency = std::chrono::microseconds{150 + random_() % 350};
    }
    std::this_thread::sleep_for(latency);
  }

  otlpkit::cache::memory_cache<std::string> entries_;
  std::mutex mutex_;
  std::mt19937_64 random_;
};

#ifdef SHOP_HAS_REDIS
struct in_redis {
  redis_part part{"cache"};
  otlpkit::redis::cache_store store{part.server(), part.prefix()};
};
#endif

}  // namespace

struct shared_texts::places {
  explicit places(std::uint64_t seed) : here{seed} {}

  stand_in here;
#ifdef SHOP_HAS_REDIS
  std::optional<in_redis> there;
#endif
};

shared_texts::shared_texts(std::uint64_t seed) : places_{std::make_unique<places>(seed)} {
#ifdef SHOP_HAS_REDIS
  if (redis_wanted()) places_->there.emplace();
#else
  static_cast<void>(redis_wanted());
#endif
}

shared_texts::~shared_texts() = default;

template <class Call>
auto shared_texts::there(Call call) {
  if (down_) throw cache_unavailable{};
#ifdef SHOP_HAS_REDIS
  if (places_->there) return call(places_->there->store);
#endif
  return call(places_->here);
}

std::optional<std::string> shared_texts::get(std::string_view key) {
  return there([&](auto& store) { return store.get(key); });
}
void shared_texts::set(std::string_view key, std::string_view text, otlpkit::cache::time_to_live ttl) {
  there([&](auto& store) { store.set(key, text, ttl); });
}
bool shared_texts::erase(std::string_view key) {
  return there([&](auto& store) { return store.erase(key); });
}

}  // namespace shop
