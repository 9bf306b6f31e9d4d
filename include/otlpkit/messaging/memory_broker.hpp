// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/broker.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

struct memory_broker_options {
  std::size_t max_messages = 10'000;  ///< of a destination: those that some group has not acknowledged yet
  std::chrono::nanoseconds redeliver_after = std::chrono::seconds{30};  ///< received and not acknowledged
  resilience::time_source* time = nullptr;                              ///< nullptr: the steady clock
};

/// A destination holds as many messages as it may.
class destination_full_error : public std::runtime_error {
 public:
  explicit destination_full_error(std::string_view destination)
      : std::runtime_error{"the destination " + std::string{destination} + " is full"} {}
};

/// A broker in the process: destinations with consumer groups, acknowledgement and redelivery, as redis::stream_broker
/// has them. A message goes when all groups have acknowledged it; what is sent before there is a group waits for the
/// first one. Thread-safe; must outlive its subscriptions.
class memory_broker final : public broker {
 public:
  explicit memory_broker(memory_broker_options options = {})
      : options_{options}, time_{options.time != nullptr ? *options.time : resilience::system_time()} {}

  /// Throws destination_full_error.
  std::string publish(std::string_view destination, message m) override {
    std::vector<message> one;
    one.push_back(std::move(m));
    return std::move(publish_batch(destination, std::move(one)).front());
  }

  /// All of them, or none: throws destination_full_error.
  std::vector<std::string> publish_batch(std::string_view destination, std::vector<message> all) override {
    std::vector<std::string> ids;
    {
      const std::lock_guard lock{mutex_};
      topic& to = topic_of(destination);
      if (all.size() > options_.max_messages - std::min(options_.max_messages, to.messages.size()))
        throw destination_full_error{destination};
      for (message& m : all) {
        m.id = std::to_string(to.first + to.messages.size() + 1);
        m.redelivered = false;
        ids.push_back(m.id);
        to.messages.push_back({std::move(m), to.groups.size()});
      }
    }
    arrived_.notify_all();
    return ids;
  }

  [[nodiscard]] std::unique_ptr<subscription> subscribe(std::string_view destination, std::string_view group_name,
                                                        std::string_view consumer) override {
    const std::lock_guard lock{mutex_};
    topic& from = topic_of(destination);
    const auto [at, made] = from.groups.try_emplace(std::string{group_name});
    if (made) {
      at->second.next = from.first;
      for (held& h : from.messages) ++h.unacknowledged;
    }
    for (auto& [number, out] : at->second.out) {
      if (out.consumer == consumer) out.due = {};
    }
    return std::make_unique<member>(*this, from, at->second,
                                    source_info{info_, std::string{destination}, {}, at->first}, std::string{consumer});
  }

  [[nodiscard]] const broker_info& info() const noexcept override { return info_; }

  /// Messages of a destination that some group has not acknowledged, or that wait for a group.
  [[nodiscard]] std::size_t size(std::string_view destination) const {
    const std::lock_guard lock{mutex_};
    const auto found = topics_.find(destination);
    return found == topics_.end() ? 0 : found->second.messages.size();
  }

 private:
  using time_point = resilience::time_point;

  struct held {
    message content;
    std::size_t unacknowledged;  ///< groups; those of before the first group count none
  };
  /// Received and not acknowledged.
  struct given_out {
    std::string consumer;
    time_point due;  ///< when anybody may have it
  };
  struct group {
    std::uint64_t next = 0;                  ///< the first message nobody got
    std::map<std::uint64_t, given_out> out;  ///< by the message's number
  };
  struct topic {
    std::uint64_t first = 0;  ///< the number of messages.front()
    std::deque<held> messages;
    std::map<std::string, group, std::less<>> groups;
  };

  class member final : public subscription {
   public:
    member(memory_broker& of, topic& from, group& in, source_info source, std::string name)
        : of_{of}, from_{from}, in_{in}, source_{std::move(source)}, name_{std::move(name)} {}

    /// What it has not acknowledged comes again at once, to any consumer.
    ~member() override {
      {
        const std::lock_guard lock{of_.mutex_};
        for (auto& [number, out] : in_.out) {
          if (out.consumer == name_) out.due = {};
        }
      }
      of_.arrived_.notify_all();
    }

    std::vector<message> receive(std::size_t most, std::chrono::milliseconds wait) override {
      std::vector<message> got;
      std::unique_lock lock{of_.mutex_};
      const time_point end = resilience::time_after(of_.time_.now(), wait);
      for (;;) {
        const time_point now = of_.time_.now();
        const time_point due = resilience::time_after(now, of_.options_.redeliver_after);
        time_point next = end;
        for (auto& [number, out] : in_.out) {
          if (got.size() >= most) break;
          if (out.due <= now) {
            out = {name_, due};
            got.push_back(from_.messages[number - from_.first].content);
            got.back().redelivered = true;
          } else {
            next = std::min(next, out.due);
          }
        }
        for (; got.size() < most && in_.next < from_.first + from_.messages.size(); ++in_.next) {
          in_.out.emplace(in_.next, given_out{name_, due});
          got.push_back(from_.messages[in_.next - from_.first].content);
        }
        if (!got.empty() || now >= end || most == 0) return got;
        static_cast<void>(of_.arrived_.wait_for(lock, of_.time_.timer_for(next - now)));
      }
    }

    std::size_t ack(std::span<const message> done) override {
      const std::lock_guard lock{of_.mutex_};
      std::size_t count = 0;
      for (const message& m : done) {
        std::uint64_t id = 0;
        static_cast<void>(std::from_chars(m.id.data(), m.id.data() + m.id.size(), id));
        const auto mine = in_.out.find(id - 1);
        if (mine == in_.out.end()) continue;
        --from_.messages[mine->first - from_.first].unacknowledged;
        in_.out.erase(mine);
        ++count;
      }
      while (!from_.messages.empty() && !from_.groups.empty() && from_.messages.front().unacknowledged == 0) {
        from_.messages.pop_front();
        ++from_.first;
      }
      return count;
    }
    using subscription::ack;

    [[nodiscard]] const source_info& source() const noexcept override { return source_; }

   private:
    memory_broker& of_;
    topic& from_;
    group& in_;
    source_info source_;
    std::string name_;
  };

  [[nodiscard]] topic& topic_of(std::string_view destination) {
    const auto found = topics_.find(destination);
    return found != topics_.end() ? found->second : topics_.try_emplace(std::string{destination}).first->second;
  }

  const memory_broker_options options_;
  resilience::time_source& time_;
  const broker_info info_{.system = "memory"};
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::string, topic, std::less<>> topics_;  // never erased from: subscriptions refer to them
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
