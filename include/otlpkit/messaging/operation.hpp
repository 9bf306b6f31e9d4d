// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/message.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/propagation.hpp>
#include <otlpkit/resilience/event.hpp>

#include <cstdint>
#include <exception>
#include <string_view>
#include <utility>

// What producers and consumers share: names, attributes and metrics of one messaging operation (OpenTelemetry semantic
// conventions, messaging).
namespace otlpkit::inline OTLPKIT_ABI::messaging::detail {

inline constinit const histogram operation_duration{"messaging.client.operation.duration",
                                                    in_seconds("Duration of calls on brokers")};
inline constinit const histogram process_duration{"messaging.process.duration",
                                                  in_seconds("Duration of processing messages")};
inline constinit const counter<std::int64_t> sent_messages{
    "messaging.client.sent.messages", {.unit = "{message}", .description = "Messages given to brokers"}};
inline constinit const counter<std::int64_t> consumed_messages{
    "messaging.client.consumed.messages", {.unit = "{message}", .description = "Messages taken from brokers"}};

#ifdef OTLPKIT_DISABLE

/// Stands for operations where nothing is observed.
struct unobserved {
  template <class... Ignored>
  explicit unobserved(const Ignored&...) noexcept {}
};
using send_operation = unobserved;
using receive_operation = unobserved;
using process_operation = unobserved;
using settle_operation = unobserved;

#else

/// `send orders`, without allocating; cut where it is very long.
class operation_name {
 public:
  operation_name(std::string_view verb, std::string_view destination) noexcept {
    add(verb);
    if (destination.empty()) return;
    add(" ");
    add(destination);
  }
  [[nodiscard]] std::string_view text() const noexcept { return {text_, size_}; }

 private:
  void add(std::string_view part) noexcept { size_ += part.copy(text_ + size_, sizeof text_ - size_); }

  char text_[256];
  std::size_t size_ = 0;
};

/// One call on a broker, or one handling of messages. Refers to what it is made of.
struct operation {
  const source_info& where;
  std::string_view verb;         ///< messaging.operation.name
  std::string_view type;         ///< messaging.operation.type
  std::string_view destination;  ///< of this call
  std::uint64_t started = platform::steady_ns();

  /// What the destination is called in names and metrics.
  [[nodiscard]] std::string_view target() const noexcept {
    return where.destination_template.empty() ? destination : std::string_view{where.destination_template};
  }

  /// Starts its span. Samplers see all of this.
  /// \param batch messages, of a call that may have several; negative: of one that may not
  [[nodiscard]] span_guard start(const span_options& options, std::int64_t batch) const noexcept {
    const operation_name name{verb, target()};
    return {name.text(), options, [&](auto& record) { describe([&](const field& f) { record.put(f); }, batch); }};
  }
  /// The same for one that is current nowhere, and may have begun before.
  [[nodiscard]] span start_apart(const span_options& options, std::int64_t batch) const noexcept {
    const operation_name name{verb, target()};
    span s{name.text(),
           {{"messaging.operation.name", verb},
            {"messaging.operation.type", type},
            {"messaging.destination.name", destination}},
           options};
    if (s.recording()) describe([&](const field& f) { s.set({f}); }, batch);
    return s;
  }

  /// Of a call on a broker.
  /// \param count messages that went or came by it
  void measure_call(const counter<std::int64_t>* counted, std::int64_t count,
                    std::string_view error_type) const noexcept {
    measure(operation_duration, type, counted, count, error_type);
  }
  /// Of processing. \param count 0 where the messages were counted when they were received
  void measure_processing(std::int64_t count, std::string_view error_type) const noexcept {
    measure(process_duration, {}, &consumed_messages, count, error_type);
  }

 private:
  template <class Put>
  void describe(Put&& put, std::int64_t batch) const noexcept {
    put(field{"messaging.operation.name", verb});
    put(field{"messaging.operation.type", type});
    const auto text = [&](field_key key, std::string_view v) {
      if (!v.empty()) put(field{key, v});
    };
    text("messaging.system", where.broker.system);
    text("messaging.destination.name", destination);
    text("messaging.destination.template", where.destination_template);
    text("messaging.consumer.group.name", where.group);
    text("messaging.client.id", where.broker.client_id);
    text("server.address", where.broker.server_address);
    if (where.broker.server_port != 0) put(field{"server.port", where.broker.server_port});
    if (batch >= 0) put(field{"messaging.batch.message_count", batch});
  }

  void measure(const histogram& duration, std::string_view type_said, const counter<std::int64_t>* counted,
               std::int64_t count, std::string_view error_type) const noexcept {
    if (!otlpkit::detail::metrics_on()) return;
    const double seconds = static_cast<double>(platform::steady_ns() - started) / 1e9;
    const field name{"messaging.operation.name", verb}, system{"messaging.system", where.broker.system};
    const field kind{"messaging.operation.type", type_said}, group{"messaging.consumer.group.name", where.group};
    const field to{where.destination_template.empty() ? field_key{"messaging.destination.name"}
                                                      : field_key{"messaging.destination.template"},
                   target()};
    const field address{"server.address", where.broker.server_address};
    const field port{"server.port", where.broker.server_port != 0 ? value{where.broker.server_port} : value{""}};
    const field error{"error.type", error_type};
    using otlpkit::detail::given_fields;
    given_fields{name, system, kind, to, group, address, port, error}.pass_to(
        [&](fields all) { duration.record(seconds, all); });
    if (counted == nullptr || count == 0) return;
    given_fields{name, system, to, group, address, port, error}.pass_to([&](fields all) { counted->add(count, all); });
  }
};

/// What is known of one message, on a span of its own.
template <class M>
void describe_message(span& s, const M& m, bool with_size) noexcept {
  if (!s.recording()) return;
  const auto text = [&](field_key key, std::string_view v) {
    if (!v.empty()) s.set(key, v);
  };
  text("messaging.message.id", id_of(m));
  text("messaging.destination.partition.id", partition_of(m));
  text("messaging.message.conversation_id", conversation_of(m));
  if (with_size) s.set("messaging.message.body.size", std::size(body_of(m)));
}

/// Links to where each of several messages came from, and says there what is each one's own.
template <class Messages>
void link_to(span& s, const Messages& all) noexcept {
  if (!s.recording()) return;
  for (const auto& m : all) {
    const span_context from = extract(headers_of(m)).span;
    if (!from.valid()) continue;
    const std::string_view id = id_of(m);
    id.empty() ? s.link(from) : s.link(from, {{"messaging.message.id", id}});
  }
}

/// How the call that is being left ended, for metrics: empty when it did not fail.
class ending {
 public:
  ending() noexcept : ending{resilience::outcome{}} {}
  explicit ending(const resilience::outcome& o) noexcept : error_{o} {}
  /// In a catch block.
  [[nodiscard]] static ending of_exception(span& s) noexcept {
    const std::exception_ptr e = std::current_exception();
    resilience::detail::record_failure(s, e);
    return ending{resilience::outcome{e}};
  }
  template <class Result>
  [[nodiscard]] static ending of_result(span& s, const Result& r) {
    otlpkit::detail::record_result(s, r);
    return ending{resilience::outcome::of(r)};
  }
  [[nodiscard]] std::string_view error_type() const noexcept { return error_.text(); }

 private:
  resilience::detail::error_name error_;
};

/// What observe() calls at the end of an operation. `Operation` has ended(const ending&).
template <class Operation>
class ends_span {
 public:
  template <class Result>
  void succeeded(span& s, const Result& result) const noexcept {
    self().ended(ending::of_result(s, result));
  }
  void succeeded(span&) const noexcept { self().ended({}); }
  [[nodiscard]] bool failed(span& s) const noexcept {
    self().ended(ending::of_exception(s));
    return false;
  }

 private:
  [[nodiscard]] const Operation& self() const noexcept { return static_cast<const Operation&>(*this); }
};

#endif

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging::detail
