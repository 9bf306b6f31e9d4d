// SPDX-License-Identifier: MIT
#include "shared/message_broker.hpp"

#include "shared/redis_server.hpp"

#include <otlpkit/messaging/memory_broker.hpp>

#ifdef SHOP_HAS_REDIS
#include <otlpkit/adapters/redis/stream_broker.hpp>
#endif

#include <atomic>
#include <optional>
#include <utility>

namespace messaging = otlpkit::messaging;

namespace shop {
namespace {

/// A subscription that goes by the destination's own name.
class plainly_named final : public messaging::subscription {
 public:
  plainly_named(std::unique_ptr<messaging::subscription> wrapped, std::string_view destination)
      : wrapped_{std::move(wrapped)}, source_{wrapped_->source()} {
    source_.destination = destination;
  }

  std::vector<messaging::message> receive(std::size_t most, std::chrono::milliseconds wait) override {
    return wrapped_->receive(most, wait);
  }
  std::size_t ack(std::span<const messaging::message> done) override { return wrapped_->ack(done); }
  using subscription::ack;
  [[nodiscard]] const messaging::source_info& source() const noexcept override { return source_; }

 private:
  std::unique_ptr<messaging::subscription> wrapped_;
  messaging::source_info source_;
};

}  // namespace

struct message_broker::places {
  explicit places([[maybe_unused]] std::chrono::milliseconds redeliver_after) {
#ifdef SHOP_HAS_REDIS
    if (redis_wanted()) {
      redis.emplace("broker");
      prefix = redis->prefix();
      used = std::make_unique<otlpkit::redis::stream_broker>(
          redis->server(), otlpkit::redis::stream_broker_options{.redeliver_after = redeliver_after});
      return;
    }
#endif
    static_cast<void>(redis_wanted());
    used = std::make_unique<messaging::memory_broker>(
        messaging::memory_broker_options{.redeliver_after = redeliver_after});
  }

  [[nodiscard]] std::string own(std::string_view destination) const { return prefix + std::string{destination}; }
  [[nodiscard]] messaging::broker& reachable() const {
    if (down) throw broker_unavailable{};
    return *used;
  }

#ifdef SHOP_HAS_REDIS
  std::optional<redis_part> redis;
#endif
  std::string prefix;
  std::unique_ptr<messaging::broker> used;  // goes before the server's part
  std::atomic<bool> down = false;
};

message_broker::message_broker(std::chrono::milliseconds redeliver_after)
    : places_{std::make_unique<places>(redeliver_after)} {}
message_broker::~message_broker() = default;

std::string message_broker::publish(std::string_view destination, messaging::message m) {
  return places_->reachable().publish(places_->own(destination), std::move(m));
}
std::vector<std::string> message_broker::publish_batch(std::string_view destination,
                                                       std::vector<messaging::message> all) {
  return places_->reachable().publish_batch(places_->own(destination), std::move(all));
}
std::unique_ptr<messaging::subscription> message_broker::subscribe(std::string_view destination, std::string_view group,
                                                                   std::string_view consumer) {
  return std::make_unique<plainly_named>(places_->used->subscribe(places_->own(destination), group, consumer),
                                         destination);
}
const messaging::broker_info& message_broker::info() const noexcept { return places_->used->info(); }
void message_broker::take_down(bool down) noexcept { places_->down = down; }

}  // namespace shop
