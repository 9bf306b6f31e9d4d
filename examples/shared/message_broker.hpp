// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/broker.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace shop {

/// The broker cannot be reached.
class broker_unavailable : public std::runtime_error {
 public:
  broker_unavailable() : std::runtime_error{"the broker does not answer"} {}
};

/// The broker of the scenarios: Redis Streams on the server that REDIS_URL=redis://... names, or one in this process.
/// What one object sends only its own subscriptions see, and it is gone with the object. Thread-safe.
class message_broker final : public otlpkit::messaging::broker {
 public:
  /// \param redeliver_after what was received and not acknowledged comes again. Throws std::runtime_error for a
  ///                        REDIS_URL that cannot be used
  explicit message_broker(std::chrono::milliseconds redeliver_after = std::chrono::seconds{30});
  ~message_broker() override;

  std::string publish(std::string_view destination, otlpkit::messaging::message m) override;
  std::vector<std::string> publish_batch(std::string_view destination,
                                         std::vector<otlpkit::messaging::message> all) override;
  [[nodiscard]] std::unique_ptr<otlpkit::messaging::subscription> subscribe(std::string_view destination,
                                                                            std::string_view group,
                                                                            std::string_view consumer) override;
  [[nodiscard]] const otlpkit::messaging::broker_info& info() const noexcept override;

  /// From now on nothing can be sent, and whoever tries gets broker_unavailable; or all is well.
  void take_down(bool down) noexcept;

 private:
  struct places;
  std::unique_ptr<places> places_;
};

}  // namespace shop
