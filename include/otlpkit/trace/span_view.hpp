// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/value_view.hpp>
#include <otlpkit/core/wire_reader.hpp>

#include <cstdint>
#include <string_view>

/// Read-only views of encoded spans. They decode the OTLP messages of opentelemetry/proto/trace/v1/trace.proto in place
/// and live as long as the bytes; of a field that comes twice the last one counts. They take whatever bytes come: what
/// does not decode is missing, and ok() says so.
namespace otlpkit::inline OTLPKIT_ABI {

/// An encoded Span.Event.
class event_view {
 public:
  constexpr explicit event_view(std::string_view message) noexcept : message_{message} {
    for (wire::reader field{message}; field.next();) {
      if (field.is(1, wire::reader::i64)) time_ = field.value();
      if (field.is(2, wire::reader::len)) name_ = field.bytes();
      if (field.is(4, wire::reader::varint)) dropped_attributes_ = field.as_u32();
    }
  }
  /// Nanoseconds since the Unix epoch.
  [[nodiscard]] constexpr std::uint64_t time() const noexcept { return time_; }
  [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }
  [[nodiscard]] constexpr repeated_view<field_view, 3> attributes() const noexcept {
    return repeated_view<field_view, 3>{message_};
  }
  [[nodiscard]] constexpr std::uint32_t dropped_attributes() const noexcept { return dropped_attributes_; }

 private:
  std::string_view message_;
  std::string_view name_;
  std::uint64_t time_ = 0;
  std::uint32_t dropped_attributes_ = 0;
};

/// An encoded Span.Link.
class link_view {
 public:
  constexpr explicit link_view(std::string_view message) noexcept : message_{message} {
    for (wire::reader field{message}; field.next();) {
      if (field.is(1, wire::reader::len)) trace_id_ = field.bytes();
      if (field.is(2, wire::reader::len)) span_id_ = field.bytes();
      if (field.is(3, wire::reader::len)) trace_state_ = field.bytes();
      if (field.is(5, wire::reader::varint)) dropped_attributes_ = field.as_u32();
      if (field.is(6, wire::reader::i32)) flags_ = field.as_u32();
    }
  }
  /// 16 and 8 bytes when the sender is right.
  [[nodiscard]] constexpr std::string_view trace_id() const noexcept { return trace_id_; }
  [[nodiscard]] constexpr std::string_view span_id() const noexcept { return span_id_; }
  [[nodiscard]] constexpr std::string_view trace_state() const noexcept { return trace_state_; }
  [[nodiscard]] constexpr repeated_view<field_view, 4> attributes() const noexcept {
    return repeated_view<field_view, 4>{message_};
  }
  [[nodiscard]] constexpr std::uint32_t dropped_attributes() const noexcept { return dropped_attributes_; }
  /// As span_view::flags(); the remote bits describe the linked span.
  [[nodiscard]] constexpr std::uint32_t flags() const noexcept { return flags_; }

 private:
  std::string_view message_;
  std::string_view trace_id_;
  std::string_view span_id_;
  std::string_view trace_state_;
  std::uint32_t dropped_attributes_ = 0;
  std::uint32_t flags_ = 0;
};

/// An encoded Span. Its single fields are read once, here; attributes, events and links while they are walked.
class span_view {
 public:
  constexpr span_view() noexcept = default;
  constexpr explicit span_view(std::string_view message) noexcept : message_{message} {
    wire::reader field{message};
    while (field.next()) take(field);
    ok_ = field.ok();
  }

  /// Whether the message decodes to its end.
  [[nodiscard]] constexpr bool ok() const noexcept { return ok_; }
  /// The message itself, without tag and length.
  [[nodiscard]] constexpr std::string_view bytes() const noexcept { return message_; }

  /// 16 bytes when the sender is right.
  [[nodiscard]] constexpr std::string_view trace_id() const noexcept { return trace_id_; }
  /// 8 bytes when the sender is right.
  [[nodiscard]] constexpr std::string_view span_id() const noexcept { return span_id_; }
  /// 8 bytes; empty for the root of a trace.
  [[nodiscard]] constexpr std::string_view parent_id() const noexcept { return parent_id_; }
  [[nodiscard]] constexpr std::string_view trace_state() const noexcept { return trace_state_; }
  [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }
  /// OTLP's number: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
  [[nodiscard]] constexpr std::uint32_t kind() const noexcept { return kind_; }
  /// Nanoseconds since the Unix epoch.
  [[nodiscard]] constexpr std::uint64_t start_time() const noexcept { return start_; }
  [[nodiscard]] constexpr std::uint64_t end_time() const noexcept { return end_; }
  /// Nanoseconds; 0 for a span that ends before it starts.
  [[nodiscard]] constexpr std::uint64_t duration() const noexcept { return end_ > start_ ? end_ - start_ : 0; }

  /// Bits 0 to 7: W3C trace flags; 0x100: it is known whether the parent is remote; 0x200: it is.
  [[nodiscard]] constexpr std::uint32_t flags() const noexcept { return flags_; }
  [[nodiscard]] constexpr bool has_remote_parent() const noexcept {
    return (flags_ & 0x300u) == 0x300u && !parent_id_.empty();
  }

  /// OTLP's number: 0 unset, 1 ok, 2 error.
  [[nodiscard]] constexpr std::uint32_t status_code() const noexcept { return status_; }
  [[nodiscard]] constexpr bool is_error() const noexcept { return status_ == 2; }
  [[nodiscard]] constexpr std::string_view status_message() const noexcept { return status_message_; }

  [[nodiscard]] constexpr repeated_view<field_view, 9> attributes() const noexcept {
    return repeated_view<field_view, 9>{message_};
  }
  [[nodiscard]] constexpr repeated_view<event_view, 11> events() const noexcept {
    return repeated_view<event_view, 11>{message_};
  }
  [[nodiscard]] constexpr repeated_view<link_view, 13> links() const noexcept {
    return repeated_view<link_view, 13>{message_};
  }
  [[nodiscard]] constexpr std::uint32_t dropped_attributes() const noexcept { return dropped_attributes_; }
  [[nodiscard]] constexpr std::uint32_t dropped_events() const noexcept { return dropped_events_; }
  [[nodiscard]] constexpr std::uint32_t dropped_links() const noexcept { return dropped_links_; }

  /// The attribute `key`, the last one if it is there twice; the empty value when there is none.
  [[nodiscard]] constexpr value_view attribute(std::string_view key) const noexcept {
    value_view found;
    for (const field_view field : attributes()) {
      if (field.key == key) found = field.value;
    }
    return found;
  }

 private:
  constexpr void take(const wire::reader& field) noexcept {
    if (field.type() == wire::reader::len) {
      switch (field.number()) {
        case 1: trace_id_ = field.bytes(); break;
        case 2: span_id_ = field.bytes(); break;
        case 3: trace_state_ = field.bytes(); break;
        case 4: parent_id_ = field.bytes(); break;
        case 5: name_ = field.bytes(); break;
        case 15: take_status(field.bytes()); break;
        default: break;
      }
      return;
    }
    if (field.is(6, wire::reader::varint)) kind_ = field.as_u32();
    if (field.is(7, wire::reader::i64)) start_ = field.value();
    if (field.is(8, wire::reader::i64)) end_ = field.value();
    if (field.is(10, wire::reader::varint)) dropped_attributes_ = field.as_u32();
    if (field.is(12, wire::reader::varint)) dropped_events_ = field.as_u32();
    if (field.is(14, wire::reader::varint)) dropped_links_ = field.as_u32();
    if (field.is(16, wire::reader::i32)) flags_ = field.as_u32();
  }

  constexpr void take_status(std::string_view message) noexcept {
    for (wire::reader field{message}; field.next();) {
      if (field.is(2, wire::reader::len)) status_message_ = field.bytes();
      if (field.is(3, wire::reader::varint)) status_ = field.as_u32();
    }
  }

  std::string_view message_;
  std::string_view trace_id_;
  std::string_view span_id_;
  std::string_view parent_id_;
  std::string_view trace_state_;
  std::string_view name_;
  std::string_view status_message_;
  std::uint64_t start_ = 0;
  std::uint64_t end_ = 0;
  std::uint32_t kind_ = 0;
  std::uint32_t flags_ = 0;
  std::uint32_t status_ = 0;
  std::uint32_t dropped_attributes_ = 0;
  std::uint32_t dropped_events_ = 0;
  std::uint32_t dropped_links_ = 0;
  bool ok_ = true;
};

/// Where spans come from: message 1 (Resource) and 3 (schema URL) of a ResourceSpans message.
class resource_view {
 public:
  constexpr resource_view() noexcept = default;
  constexpr explicit resource_view(std::string_view message) noexcept {
    for (wire::reader field{message}; field.next();) {
      if (field.is(1, wire::reader::len)) message_ = field.bytes();
      if (field.is(3, wire::reader::len)) schema_url_ = field.bytes();
    }
    for (const field_view attribute : attributes()) {
      if (attribute.key == "service.name") service_name_ = attribute.value.as_string();
    }
  }
  [[nodiscard]] constexpr std::string_view service_name() const noexcept { return service_name_; }
  [[nodiscard]] constexpr std::string_view schema_url() const noexcept { return schema_url_; }
  [[nodiscard]] constexpr repeated_view<field_view, 1> attributes() const noexcept {
    return repeated_view<field_view, 1>{message_};
  }

 private:
  std::string_view message_;
  std::string_view service_name_;
  std::string_view schema_url_;
};

/// What recorded spans: message 1 (InstrumentationScope) and 3 (schema URL) of a ScopeSpans message.
class scope_view {
 public:
  constexpr scope_view() noexcept = default;
  constexpr explicit scope_view(std::string_view message) noexcept {
    for (wire::reader field{message}; field.next();) {
      if (field.is(1, wire::reader::len)) message_ = field.bytes();
      if (field.is(3, wire::reader::len)) schema_url_ = field.bytes();
    }
    for (wire::reader field{message_}; field.next();) {
      if (field.is(1, wire::reader::len)) name_ = field.bytes();
      if (field.is(2, wire::reader::len)) version_ = field.bytes();
    }
  }
  [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }
  [[nodiscard]] constexpr std::string_view version() const noexcept { return version_; }
  [[nodiscard]] constexpr std::string_view schema_url() const noexcept { return schema_url_; }
  [[nodiscard]] constexpr repeated_view<field_view, 3> attributes() const noexcept {
    return repeated_view<field_view, 3>{message_};
  }

 private:
  std::string_view message_;
  std::string_view name_;
  std::string_view version_;
  std::string_view schema_url_;
};

/// What a span belongs to.
struct span_origin {
  resource_view resource;
  scope_view scope;
};

/// Calls `visit(const span_view&, const span_origin&)` for each span framed in `items` (field 2 of ScopeSpans).
/// \return false when the framing or a span did not decode to its end; what did was visited
template <typename Visitor>
constexpr bool for_each_span(std::string_view items, const span_origin& origin, Visitor&& visit) {
  bool ok = true;
  wire::reader field{items};
  while (field.next()) {
    if (!field.is(2, wire::reader::len)) continue;
    const span_view span{field.bytes()};
    ok = ok && span.ok();
    visit(span, origin);
  }
  return ok && field.ok();
}

/// The same for every span of an ExportTraceServiceRequest (or TracesData).
template <typename Visitor>
constexpr bool for_each_span(std::string_view request, Visitor&& visit) {
  bool ok = true;
  wire::reader in_request{request};
  while (in_request.next()) {
    if (!in_request.is(1, wire::reader::len)) continue;
    span_origin origin;
    origin.resource = resource_view{in_request.bytes()};
    wire::reader in_resource{in_request.bytes()};
    while (in_resource.next()) {
      if (!in_resource.is(2, wire::reader::len)) continue;
      origin.scope = scope_view{in_resource.bytes()};
      ok = for_each_span(in_resource.bytes(), origin, visit) && ok;
    }
    ok = ok && in_resource.ok();
  }
  return ok && in_request.ok();
}

}  // namespace otlpkit::inline OTLPKIT_ABI
