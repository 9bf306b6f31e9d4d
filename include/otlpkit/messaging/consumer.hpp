// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/process.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// What consume() takes at once.
struct consume_options {
  std::size_t most = 10;                  ///< messages
  std::chrono::milliseconds wait{1'000};  ///< for the first one
};

/// What consume() did.
struct consumed {
  std::size_t received = 0;
  std::size_t processed = 0;     ///< and acknowledged
  std::size_t failed = 0;        ///< the handler threw: they will come again
  std::exception_ptr failure{};  ///< the first of these exceptions
};

namespace detail {

#ifndef OTLPKIT_DISABLE

/// Taking messages. Its span is made when something came, or went wrong: who waits for messages makes no trace.
class receive_operation {
 public:
  explicit receive_operation(const consumer_options& options) noexcept
      : options_{options}, of_{options.source, options.receive, "receive", options.source.destination},
        started_{otlpkit::detail::global_runtime.clock.wall_now()} {}

  [[nodiscard]] no_scope scope() const noexcept { return {}; }
  [[nodiscard]] no_scope start() const noexcept { return {}; }

  template <class Received>
  void succeeded(no_scope, const Received& received) const noexcept {
    if constexpr (message_batch<const Received>) {
      if (std::size(received) == 0) return;
      span s = begin(static_cast<std::int64_t>(std::size(received)));
      link_to(s, received);
      ended(static_cast<std::int64_t>(std::size(received)), ending::of_result(s, received));
    } else if constexpr (message_like<const Received>) {
      one(received);
    } else if (static_cast<bool>(received)) {
      succeeded({}, *received);
    } else if (resilience::detail::result_failed(received)) {
      span s = begin(-1);
      ended(0, ending::of_result(s, received));
    }
  }
  [[nodiscard]] bool failed(no_scope) const noexcept {
    span s = begin(-1);
    ended(0, ending::of_exception(s));
    return false;
  }

 private:
  [[nodiscard]] span begin(std::int64_t batch) const noexcept {
    return of_.start_apart({.kind = span_kind::client, .start_time = started_}, batch);
  }
  template <class M>
  void one(const M& m) const noexcept {
    span s = begin(-1);
    if (const span_context from = extract(headers_of(m)).span; from.valid()) s.link(from);
    describe_message(s, m, options_.record_body_size);
    ended(1, {});
  }
  void ended(std::int64_t count, const ending& how) const noexcept {
    of_.measure_call(&consumed_messages, count, how.error_type());
  }

  const consumer_options& options_;
  operation of_;
  unix_ns started_;
};

/// Acknowledging one message, or several.
template <class Messages>
class settle_operation : public ends_span<settle_operation<Messages>> {
  static constexpr bool batch = !message_like<Messages>;

 public:
  /// \param parent the span that processed it; the current one where it is not valid
  settle_operation(const consumer_options& options, Messages& messages, span_context parent) noexcept
      : of_{options.source, options.ack, "settle", options.source.destination}, messages_{messages}, parent_{std::move(
                                                                                                         parent)} {}

  [[nodiscard]] no_scope scope() const noexcept { return {}; }
  [[nodiscard]] span_guard start() const noexcept {
    span_options start{.kind = span_kind::client};
    if (parent_.valid()) start.parent = parent_;
    if constexpr (batch) {
      span_guard guard = of_.start(start, static_cast<std::int64_t>(std::size(messages_)));
      link_to(guard, messages_);
      return guard;
    } else {
      span_guard guard = of_.start(start, -1);
      describe_message(guard, messages_, false);
      const span_context from = extract(headers_of(messages_)).span;
      if (from.valid() && from.trace != guard.context().trace) guard.link(from);
      return guard;
    }
  }

 private:
  friend class ends_span<settle_operation>;
  void ended(const ending& how) const noexcept { of_.measure_call(nullptr, 0, how.error_type()); }

  operation of_;
  Messages& messages_;
  span_context parent_;
};

#endif

template <class C>
concept receives_several = requires(std::remove_reference_t<C>& c, std::size_t most, std::chrono::milliseconds wait) {
  c.receive(most, wait);
};

/// What a call gives, awaited if need be.
template <class Result>
struct plain_result {
  using type = Result;
};
template <awaitable_like Result>
struct plain_result<Result> {
  using type = typename Result::value_type;
};

/// The first of them that is an awaitable, or void.
template <class... Results>
struct first_awaitable {
  using type = void;
};
template <class First, class... Rest>
struct first_awaitable<First, Rest...> : first_awaitable<Rest...> {};
template <awaitable_like First, class... Rest>
struct first_awaitable<First, Rest...> {
  using type = First;
};

/// What consume() does. Where something of it returns an awaitable there is a specialisation, in asio/messaging.hpp.
template <class Awaitable>
struct consume_loop {
  template <class Consumer, class F>
  static consumed run(Consumer& c, F&& fn, const consume_options& options) {
    static_assert(std::is_void_v<Awaitable>,
                  "otlpkit: include otlpkit/asio/messaging.hpp for consumers and handlers "
                  "that return awaitables");
    consumed out;
    auto messages = c.receive(options.most, options.wait);
    out.received = std::size(messages);
    for (auto& m : messages) {
      span_context context;
      try {
        c.process_and_tell(m, fn, context);
      } catch (...) {
        if (out.failed++ == 0) out.failure = std::current_exception();
        continue;
      }
      c.ack_under(m, context);
      ++out.processed;
    }
    return out;
  }
};

}  // namespace detail

/// A consumer that shows where its messages come from: receive() is a CLIENT span that links to the messages' senders,
/// process() a CONSUMER span that continues a message's trace or links to it, ack() a CLIENT span. Over a consumer
/// whose calls are awaited, and with handlers that are, these are awaited as well (include otlpkit/asio/messaging.hpp).
/// As thread-safe as the consumer is.
///
/// \code
/// otlpkit::messaging::traced_consumer orders{*subscription, {.relation = relation::continued}};
/// while (!stopping) orders.consume([&](const message& m) { bill(m.body); });
/// \endcode
template <class Consumer>
class traced_consumer {
 public:
  /// A temporary is moved in; an lvalue is referred to and must live on, as this must until what it returned was
  /// awaited.
  explicit traced_consumer(Consumer&& wrapped, consumer_options options = {})
      : consumer_{std::forward<Consumer>(wrapped)}, options_{std::move(options)} {
    if constexpr (detail::has_source<Consumer>) {
      if (options_.source.broker.system.empty()) options_.source = consumer_.source();
    }
  }

  /// Takes messages and has each of them processed; acknowledges those whose handler did not throw. What a handler
  /// throws is recorded and ends here; what the broker's calls throw is thrown. An awaited one that is cancelled
  /// acknowledges what was processed before it returns; the rest comes again.
  template <class F>
  auto consume(F&& fn, const consume_options& options = {}) {
    using received = decltype(consumer_.receive(options.most, options.wait));
    using message_type = typename detail::plain_result<received>::type::value_type;
    using handled = std::invoke_result_t<std::remove_reference_t<F>&, message_type&>;
    using settled = decltype(consumer_.ack(std::declval<message_type&>()));
    using awaitable = typename detail::first_awaitable<received, handled, settled>::type;
    return detail::consume_loop<awaitable>::run(*this, std::forward<F>(fn), options);
  }

  /// The wrapped consumer's receive(), mostly with how many at most and how long to wait. Makes a span and counts only
  /// if something came, or it failed.
  auto receive(std::size_t most, std::chrono::milliseconds wait) requires detail::receives_several<Consumer> {
    return take(most, wait);
  }
  template <class... Arguments>
  requires(!detail::receives_several<Consumer>) auto receive(const Arguments&... arguments) {
    return take(arguments...);
  }

  /// As traced_processor::process().
  template <class Message, class F>
  requires message_like<Message>
  auto process(Message&& m, F&& fn) {
    return detail::process(options_, std::forward<Message>(m), std::forward<F>(fn), 0, nullptr);
  }
  template <class Messages, class F>
  requires message_batch<Messages>
  auto process_batch(Messages&& all, F&& fn) {
    return detail::process(options_, std::forward<Messages>(all), std::forward<F>(fn), 0, nullptr);
  }

  /// The wrapped consumer's ack(), of a message or several. They must live until the end.
  template <class Messages>
  auto ack(const Messages& done) {
    return ack_under(done, {});
  }

  /// The consumer itself, for what is not traced.
  [[nodiscard]] std::remove_reference_t<Consumer>& wrapped() noexcept { return consumer_; }

 private:
  template <class Awaitable>
  friend struct detail::consume_loop;

  template <class... Arguments>
  auto take(const Arguments&... arguments) {
    using result = decltype(consumer_.receive(arguments...));
    return detail::observed_call<result>::run(
        std::tuple<Arguments...>{arguments...}, [this](auto&) { return detail::receive_operation{options_}; },
        [this](auto& kept) -> result {
          return std::apply([this](const auto&... a) -> result { return consumer_.receive(a...); }, kept);
        });
  }

  template <class Message, class F>
  auto process_and_tell(Message& m, F& fn, span_context& context) {
    return detail::process(options_, m, fn, 0, &context);
  }
  template <class Messages>
  auto ack_under(const Messages& done, span_context parent) {
    using result = decltype(consumer_.ack(done));
    return detail::observed_call<result>::run(
        &done,
        [this, parent = std::move(parent)](auto* what) {
          return detail::settle_operation{options_, *what, parent};
        },
        [this](auto* what) -> result { return consumer_.ack(*what); });
  }

  Consumer consumer_;
  consumer_options options_;
};

template <class Consumer>
traced_consumer(Consumer&&) -> traced_consumer<Consumer>;
template <class Consumer>
traced_consumer(Consumer&&, consumer_options) -> traced_consumer<Consumer>;

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
