// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/message.hpp>
#include <otlpkit/messaging/observed_call.hpp>
#include <otlpkit/messaging/operation.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

struct producer_options {
  broker_info broker{};                ///< with an empty `system`: what the producer's own info() says
  std::string destination_template{};  ///< for spans and metrics where destinations are many: `inbox.{user}`
  std::string operation = "send";      ///< what the broker calls it, in span names and messaging.operation.name
  bool create_spans = true;            ///< publish_batch: a span for each message, `create DESTINATION`
  bool record_body_size = false;       ///< messaging.message.body.size
};

namespace detail {

template <class T>
concept has_info = requires(std::remove_reference_t<T>& t) {
  { t.info() } -> std::convertible_to<broker_info>;
};

/// What is sent, and where to.
template <class Text, class Messages>
struct addressed {
  Text destination;
  Messages messages;
};

#ifndef OTLPKIT_DISABLE

/// Sending one message, or a batch.
template <class Messages>
class send_operation : public ends_span<send_operation<Messages>> {
  using base = ends_span<send_operation>;
  static constexpr bool batch = !message_like<Messages>;

 public:
  send_operation(const source_info& where, const producer_options& options, std::string_view destination,
                 Messages& messages) noexcept
      : options_{options}, of_{where, options.operation, "send", destination}, messages_{messages} {
    if constexpr (batch) count_ = static_cast<std::int64_t>(std::size(messages));
  }

  [[nodiscard]] no_scope scope() const noexcept { return {}; }

  [[nodiscard]] span_guard start() noexcept {
    if constexpr (batch) {
      return start_batch();
    } else {
      const span_context given = extract(headers_of(messages_)).span;
      // Whose context a message carries was its producer; this call only moves it.
      span_guard guard = of_.start({.kind = given.valid() ? span_kind::client : span_kind::producer}, -1);
      if (given.valid()) {
        guard.link(given);
      } else {
        inject(headers_of(messages_));
      }
      describe_message(guard, messages_, options_.record_body_size);
      return guard;
    }
  }

  template <class Result>
  void succeeded(span& s, const Result& result) const noexcept {
    if constexpr (!batch && std::convertible_to<const Result&, std::string_view>) {
      if (const std::string_view id = result; !id.empty()) s.set("messaging.message.id", id);
    }
    base::succeeded(s, result);
  }
  using base::succeeded;

 private:
  friend base;
  void ended(const ending& how) const noexcept { of_.measure_call(&sent_messages, count_, how.error_type()); }

  /// The spans of the messages come first: the one of the call links to them.
  [[nodiscard]] span_guard start_batch() noexcept {
    std::vector<span_context> created;
    bool own_context = false;
    try {
      created.reserve(std::size(messages_));
      for (auto& m : messages_) {
        span_context of = extract(headers_of(m)).span;
        if (!of.valid() && options_.create_spans) of = create(m);
        own_context = own_context || !of.valid();
        created.push_back(std::move(of));
      }
    } catch (const std::bad_alloc&) {  // sent without
    }
    span_guard guard = of_.start({.kind = own_context ? span_kind::producer : span_kind::client}, count_);
    for (const span_context& c : created) {
      if (c.valid()) guard.link(c);
    }
    if (own_context) {
      for (auto& m : messages_) {
        if (!extract(headers_of(m)).valid()) inject(headers_of(m));
      }
    }
    return guard;
  }

  template <class M>
  [[nodiscard]] span_context create(M& m) const noexcept {
    operation of = of_;
    of.verb = of.type = "create";
    span s = of.start_apart({.kind = span_kind::producer}, -1);
    describe_message(s, m, options_.record_body_size);
    inject(headers_of(m), s.context(), current_baggage());
    return s.context();
  }

  const producer_options& options_;
  operation of_;
  Messages& messages_;
  std::int64_t count_ = 1;  // they are moved away by the call
};

#endif

}  // namespace detail

/// A producer whose messages carry the trace on: publish() is a PRODUCER span, `send orders`, whose context goes with
/// the message by the configured propagators. Returns what the wrapped producer returns; over one whose calls are
/// awaited these are awaited as well (include otlpkit/asio/messaging.hpp). As thread-safe as the producer is.
///
/// A message that carries a context already, from an outbox for instance, keeps it.
///
/// \code
/// otlpkit::messaging::traced_producer out{broker};
/// out.publish("orders", {.body = text});
/// \endcode
template <class Producer>
class traced_producer {
 public:
  /// A temporary is moved in; an lvalue is referred to and must live on, as this must until what it returned was
  /// awaited.
  explicit traced_producer(Producer&& wrapped, producer_options options = {})
      : producer_{std::forward<Producer>(wrapped)}, options_{std::move(options)} {
    where_.broker = options_.broker;
    if constexpr (detail::has_info<Producer>) {
      if (where_.broker.system.empty()) where_.broker = producer_.info();
    }
    where_.destination_template = options_.destination_template;
  }

  /// Sends a message. Its copy gets the context: move in what is large.
  template <class Message = message>
  requires message_like<Message> && producer_of<Producer, Message>
  auto publish(std::string_view destination, Message m) {
    using result = decltype(producer_.publish(destination, std::move(m)));
    return send<result>(destination, std::move(m), [](auto& producer, auto& what) -> result {
      return producer.publish(what.destination, std::move(what.messages));
    });
  }

  /// Sends several at once, by the wrapped producer's publish_batch(): one span for the call, and one for each message.
  template <class Messages = std::vector<message>>
  requires message_batch<Messages>
  auto publish_batch(std::string_view destination, Messages all) {
    using result = decltype(producer_.publish_batch(destination, std::move(all)));
    return send<result>(destination, std::move(all), [](auto& producer, auto& what) -> result {
      return producer.publish_batch(what.destination, std::move(what.messages));
    });
  }

  /// The producer itself, for what is not traced.
  [[nodiscard]] std::remove_reference_t<Producer>& wrapped() noexcept { return producer_; }

 private:
  template <class Result, class Messages, class Call>
  Result send(std::string_view destination, Messages&& messages, Call call) {
    using observed = detail::observed_call<Result>;
    using text = typename observed::text;
    return observed::run(
        detail::addressed<text, Messages>{text{destination}, std::move(messages)},
        [this](auto& what) {
          return detail::send_operation{where_, options_, what.destination, what.messages};
        },
        [this, call](auto& what) { return call(producer_, what); });
  }

  Producer producer_;
  producer_options options_;
  source_info where_;
};

template <class Producer>
traced_producer(Producer&&) -> traced_producer<Producer>;
template <class Producer>
traced_producer(Producer&&, producer_options) -> traced_producer<Producer>;

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
