// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/message.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// A consumer's end of a broker: its share of what a group gets of one destination. Each message goes to one consumer
/// of the group, and comes again, to any of them, unless it is acknowledged in time: messages are delivered at least
/// once. One thread at a time.
class subscription {
 public:
  subscription() = default;
  subscription(const subscription&) = delete;
  subscription& operator=(const subscription&) = delete;
  virtual ~subscription() = default;

  /// Up to `most` messages; waits up to `wait` if there are none.
  [[nodiscard]] virtual std::vector<message> receive(std::size_t most, std::chrono::milliseconds wait) = 0;

  /// These are done with. \return how many were still waiting for it: fewer if another consumer was faster
  virtual std::size_t ack(std::span<const message> done) = 0;
  std::size_t ack(const message& done) { return ack(std::span<const message>{&done, 1}); }

  /// Valid as long as the subscription.
  [[nodiscard]] virtual const source_info& source() const noexcept = 0;
};

/// A message broker, behind an interface so that a program may choose at run time: memory_broker, redis::stream_broker.
/// Wrap it and its subscriptions by traced_producer and traced_consumer. Thread-safe.
class broker {
 public:
  broker() = default;
  broker(const broker&) = delete;
  broker& operator=(const broker&) = delete;
  virtual ~broker() = default;

  /// \return the message's id
  virtual std::string publish(std::string_view destination, message m) = 0;
  /// Sends several in order. \return their ids
  virtual std::vector<std::string> publish_batch(std::string_view destination, std::vector<message> all) = 0;

  /// Joins a group, which is made if need be: a new one begins with the oldest message there is.
  /// \param consumer who asks; one that comes again under the name it had before gets at once what it had not
  ///                 acknowledged
  [[nodiscard]] virtual std::unique_ptr<subscription> subscribe(std::string_view destination, std::string_view group,
                                                                std::string_view consumer) = 0;

  /// Valid as long as the broker.
  [[nodiscard]] virtual const broker_info& info() const noexcept = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
