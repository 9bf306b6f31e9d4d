// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/message.hpp>
#include <otlpkit/messaging/observed_call.hpp>
#include <otlpkit/messaging/operation.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// How processing a message relates to the trace it came from.
enum class relation : std::uint8_t {
  linked,     ///< child of the current span, or a trace of its own; links to the span that sent the message
  continued,  ///< child of the span that sent the message; links to the current one
};

struct consumer_options {
  source_info source{};                             ///< with an empty `system`: what the consumer's own source() says
  messaging::relation relation = relation::linked;  ///< several messages processed together are always linked
  std::string receive = "receive";                  ///< what the broker calls it, in span names
  std::string process = "process";
  std::string ack = "ack";
  bool record_body_size = false;  ///< messaging.message.body.size
};

namespace detail {

template <class T>
concept has_source = requires(std::remove_reference_t<T>& t) {
  { t.source() } -> std::convertible_to<source_info>;
};

/// Messages and who deals with them: temporaries are kept, others referred to.
template <class Messages, class F>
struct handed {
  Messages messages;
  F fn;
};

#ifndef OTLPKIT_DISABLE

/// Processing one message, or several together.
template <class Messages>
class process_operation : public ends_span<process_operation<Messages>> {
  static constexpr bool batch = !message_like<Messages>;

 public:
  /// \param count how many to count as consumed
  /// \param context where to put the span's, or nullptr
  process_operation(const consumer_options& options, Messages& messages, std::int64_t count,
                    span_context* context) noexcept
      : options_{options}, of_{options.source, options.process, "process", options.source.destination},
        messages_{messages}, count_{count}, context_{context} {
    if constexpr (!batch) from_ = extract(headers_of(messages));
  }

  /// The message's baggage is current meanwhile.
  [[nodiscard]] baggage_scope scope() const noexcept {
    return baggage_scope{from_.baggage.empty() ? current_baggage() : from_.baggage};
  }

  [[nodiscard]] span_guard start() const noexcept {
    if constexpr (batch) {
      span_guard guard = of_.start({.kind = span_kind::consumer}, static_cast<std::int64_t>(std::size(messages_)));
      link_to(guard, messages_);
      tell(guard);
      return guard;
    } else {
      const bool child = options_.relation == relation::continued && from_.span.valid();
      const span_context other = child ? current_context() : from_.span;
      span_options start{.kind = span_kind::consumer};
      if (child) start.parent = from_.span;
      span_guard guard = of_.start(start, -1);
      if (other.valid()) guard.link(other);
      describe_message(guard, messages_, options_.record_body_size);
      tell(guard);
      return guard;
    }
  }

 private:
  friend class ends_span<process_operation>;
  void tell(const span& s) const noexcept {
    if (context_ != nullptr) *context_ = s.context();
  }
  void ended(const ending& how) const noexcept { of_.measure_processing(count_, how.error_type()); }

  const consumer_options& options_;
  operation of_;
  Messages& messages_;
  std::int64_t count_;
  span_context* context_;
  remote_context from_;
};

#endif

/// Runs fn(messages) as the processing of them.
template <class Messages, class F>
auto process(const consumer_options& options, Messages&& messages, F&& fn, std::int64_t count, span_context* context) {
  using result = std::invoke_result_t<std::remove_reference_t<F>&, std::remove_reference_t<Messages>&>;
  return observed_call<result>::run(
      handed<Messages, F>{std::forward<Messages>(messages), std::forward<F>(fn)},
      [&options, count, context](auto& what) {
        return process_operation{options, what.messages, count, context};
      },
      [](auto& what) -> result { return what.fn(what.messages); });
}

}  // namespace detail

/// What handles messages that a client library pushes: each is processed in a CONSUMER span, `process orders`, which
/// continues the trace of the message or links to it. Returns what the handler returns; handlers that return an
/// awaitable make it return one (include otlpkit/asio/messaging.hpp). Usable from any thread.
///
/// Messages and handlers that are temporaries are kept until the end, others must live until then, as must this.
///
/// \code
/// const otlpkit::messaging::traced_processor orders{{.source = {.broker = {.system = "kafka"}, .destination =
/// "orders"}}}; client.on_message([&](const auto& m) { orders.process(m, bill); }); \endcode
class traced_processor {
 public:
  explicit traced_processor(consumer_options options) : options_{std::move(options)} {}

  template <class Message, class F>
  requires message_like<Message>
  auto process(Message&& m, F&& fn) const {
    return detail::process(options_, std::forward<Message>(m), std::forward<F>(fn), 1, nullptr);
  }

  /// Several messages in one span, which links to all of them. `fn` gets the container.
  template <class Messages, class F>
  requires message_batch<Messages>
  auto process_batch(Messages&& all, F&& fn) const {
    const auto count = static_cast<std::int64_t>(std::size(all));
    return detail::process(options_, std::forward<Messages>(all), std::forward<F>(fn), count, nullptr);
  }

 private:
  consumer_options options_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
