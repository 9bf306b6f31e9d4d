// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/connection.hpp>
#include <otlpkit/adapters/redis/stream.hpp>
#include <otlpkit/messaging/broker.hpp>
#include <otlpkit/propagation/propagation.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::redis {

struct stream_broker_options {
  std::size_t max_messages = 0;  ///< about how many a stream keeps, read or not; 0: all
  std::chrono::milliseconds redeliver_after = std::chrono::seconds{30};  ///< received and not acknowledged
  std::string body_field = "body";  ///< the field that holds the body; the others are the headers
};

namespace detail {

/// Lets commands whose outcome is told by another span make none: who waits for messages makes no trace.
class quiet {
#ifndef OTLPKIT_DISABLE
 public:
  quiet() noexcept : scope_{remote_context{unsampled(), current_baggage()}} {}

 private:
  [[nodiscard]] static span_context unsampled() noexcept {
    span_context c = current_context();
    if (!c.valid()) c = {{{1, 1}}, {1}, 0, false, {}};
    c.flags = static_cast<std::uint8_t>(c.flags & ~flag_sampled);
    return c;
  }

  remote_scope scope_;
#else
 public:
  quiet() noexcept {}
#endif
};

/// A consumer of a group of a Redis stream. It reads in this order: what it had not acknowledged when it was here last
/// or lost its connection, what others have not acknowledged in time, what is new.
class stream_subscription final : public messaging::subscription {
 public:
  stream_subscription(const options& server, stream_broker_options o, messaging::source_info source,
                      std::string consumer)
      : options_{std::move(o)}, source_{std::move(source)}, consumer_{std::move(consumer)},
        connection_{server}, stream_{connection_, source_.destination} {}

  std::vector<messaging::message> receive(std::size_t most, std::chrono::milliseconds wait) override {
    if (most == 0) return {};
    const quiet unseen;
    try {
      return next(most, wait);
    } catch (const error& e) {
      own_from_ = "0";  // what was on its way is this consumer's, and will not come by itself
      if (e.status_code() != "NOGROUP") throw;
      grouped_ = false;  // the server has lost its data
      return next(most, wait);
    }
  }

  std::size_t ack(std::span<const messaging::message> done) override {
    std::vector<std::string> ids;
    ids.reserve(done.size());
    for (const auto& m : done) ids.push_back(m.id);
    return stream_.ack(source_.group, ids);
  }
  using subscription::ack;

  [[nodiscard]] const messaging::source_info& source() const noexcept override { return source_; }

 private:
  using clock = std::chrono::steady_clock;

  std::vector<messaging::message> next(std::size_t most, std::chrono::milliseconds wait) {
    if (!grouped_) stream_.create_group(source_.group);
    grouped_ = true;
    while (!own_from_.empty()) {
      const auto mine = stream_.pending(source_.group, consumer_, most, own_from_);
      own_from_ = mine.empty() ? std::string{} : mine.back().id;
      if (auto got = messages(mine, true); !got.empty()) return got;
    }
    for (const auto end = resilience::time_after(clock::now(), wait);;) {
      if (auto got = claim(most); !got.empty()) return got;
      // No longer than until something may be claimed again: nobody says when it can.
      const auto now = clock::now();
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(std::min(end, claim_at_) - now);
      auto got = messages(stream_.read(source_.group, consumer_, most, left), false);
      if (!got.empty() || clock::now() >= end) return got;
    }
  }

  /// What others got and did not acknowledge in time; looked for once in a while.
  std::vector<messaging::message> claim(std::size_t most) {
    if (clock::now() < claim_at_) return {};
    do {
      const auto claimed = stream_.auto_claim(source_.group, consumer_, options_.redeliver_after, claim_from_, most);
      claim_from_ = claimed.next;
      if (auto got = messages(claimed.entries, true); !got.empty()) return got;
    } while (claim_from_ != "0-0");
    claim_at_ =
        resilience::time_after(clock::now(), std::max(options_.redeliver_after / 2, std::chrono::milliseconds{1}));
    return {};
  }

  /// Those that were trimmed away meanwhile have no fields: they are acknowledged, so that they do not come again.
  std::vector<messaging::message> messages(const std::vector<stream_entry>& entries, bool redelivered) {
    std::vector<messaging::message> out;
    std::vector<std::string> gone;
    for (const stream_entry& e : entries) {
      if (e.fields.empty()) {
        gone.push_back(e.id);
        continue;
      }
      messaging::message m{.id = e.id, .redelivered = redelivered};
      bool has_body = false;
      for (const auto& [name, value] : e.fields) {
        if (!has_body && name == options_.body_field) {
          m.body = value;
          has_body = true;
        } else {
          m.headers.emplace_back(name, value);
        }
      }
      out.push_back(std::move(m));
    }
    if (!gone.empty()) static_cast<void>(stream_.ack(source_.group, gone));
    return out;
  }

  stream_broker_options options_;
  messaging::source_info source_;
  std::string consumer_;
  connection connection_;  // of its own: reading keeps it busy
  stream stream_;
  bool grouped_ = false;
  std::string own_from_ = "0";  ///< where to go on with what is this consumer's; empty: nothing is
  std::string claim_from_ = "0-0";
  clock::time_point claim_at_{};
};

}  // namespace detail

/// Redis Streams as a message broker: a destination is a stream, whose entries hold the body in one field and each
/// header in one of its own, so that trace context is there as `traceparent`. Its subscriptions are consumers of a
/// group, each with a connection of its own, and take over what others of the group have received and not acknowledged
/// in time. Calls throw redis::error; after one, a call may be made again. Thread-safe.
class stream_broker final : public messaging::broker {
 public:
  /// \param server must outlive this
  explicit stream_broker(connection& server, stream_broker_options o = {})
      : server_{server}, options_{std::move(o)}, address_{address::parse(server.settings().url)},
        info_{.system = "redis",
              .server_address = address_.host,
              .server_port = static_cast<std::uint16_t>(address_.port)} {}

  std::string publish(std::string_view destination, messaging::message m) override {
    std::vector<std::pair<std::string_view, std::string_view>> fields;
    fill(m, fields);
    return stream{server_, std::string{destination}}.add(fields, options_.max_messages);
  }

  /// Sends all of them in one go. After an exception some may be there.
  std::vector<std::string> publish_batch(std::string_view destination, std::vector<messaging::message> all) override {
    std::vector<std::vector<argument>> commands;
    for (const auto& m : all) {
      std::vector<argument>& words = commands.emplace_back();
      words.insert(words.end(), {argument{"XADD"}, argument{destination}});
      if (options_.max_messages != 0)
        words.insert(words.end(), {argument{"MAXLEN"}, argument{"~"}, argument{options_.max_messages}});
      words.emplace_back("*");
      words.insert(words.end(), {argument{options_.body_field}, argument{m.body}});
      for (const auto& [name, value] : m.headers) words.insert(words.end(), {argument{name}, argument{value}});
    }
    std::vector<std::string> ids;
    for (const reply& r : server_.pipeline(commands)) {
      if (r.is_error())
        throw error{failure::server, r.text().substr(0, r.text().find(' ')), "the server refused a message"};
      ids.emplace_back(r.text());
    }
    return ids;
  }

  /// Connects to nothing yet; the group is made with the first receive().
  [[nodiscard]] std::unique_ptr<messaging::subscription> subscribe(std::string_view destination, std::string_view group,
                                                                   std::string_view consumer) override {
    return std::make_unique<detail::stream_subscription>(
        server_.settings(), options_, messaging::source_info{info_, std::string{destination}, {}, std::string{group}},
        std::string{consumer});
  }

  [[nodiscard]] const messaging::broker_info& info() const noexcept override { return info_; }

 private:
  void fill(const messaging::message& m, std::vector<std::pair<std::string_view, std::string_view>>& fields) const {
    fields.emplace_back(options_.body_field, m.body);
    for (const auto& [name, value] : m.headers) fields.emplace_back(name, value);
  }

  connection& server_;
  stream_broker_options options_;
  const address address_;
  const messaging::broker_info info_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
