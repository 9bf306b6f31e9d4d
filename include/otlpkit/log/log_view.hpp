// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/log/severity.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// An encoded LogRecord (opentelemetry/proto/logs/v1/logs.proto), decoded in place: it lives as long as the bytes.
/// Takes whatever bytes come: what does not decode is missing, and ok() says so.
class log_view {
 public:
  constexpr log_view() noexcept = default;
  constexpr explicit log_view(std::string_view message) noexcept : message_{message} {
    wire::reader field{message};
    while (field.next()) take(field);
    ok_ = field.ok();
  }

  /// Whether the message decodes to its end.
  [[nodiscard]] constexpr bool ok() const noexcept { return ok_; }
  /// The message itself, without tag and length.
  [[nodiscard]] constexpr std::string_view bytes() const noexcept { return message_; }

  /// Nanoseconds since the Unix epoch; 0: unknown.
  [[nodiscard]] constexpr std::uint64_t time() const noexcept { return time_; }
  [[nodiscard]] constexpr std::uint64_t observed_time() const noexcept { return observed_; }
  /// OTLP's number, 1 to 24 where the sender is right; 0: unspecified.
  [[nodiscard]] constexpr std::uint32_t severity_number() const noexcept { return severity_; }
  [[nodiscard]] constexpr std::string_view severity_text() const noexcept { return severity_text_; }
  [[nodiscard]] constexpr value_view body() const noexcept { return value_view{body_}; }
  [[nodiscard]] constexpr std::string_view event_name() const noexcept { return event_name_; }
  /// 16 and 8 bytes where the record belongs to a span, else empty.
  [[nodiscard]] constexpr std::string_view trace_id() const noexcept { return trace_id_; }
  [[nodiscard]] constexpr std::string_view span_id() const noexcept { return span_id_; }
  /// Bits 0 to 7: W3C trace flags.
  [[nodiscard]] constexpr std::uint32_t flags() const noexcept { return flags_; }
  [[nodiscard]] constexpr repeated_view<field_view, 6> attributes() const noexcept {
    return repeated_view<field_view, 6>{message_};
  }
  [[nodiscard]] constexpr std::uint32_t dropped_attributes() const noexcept { return dropped_; }

 private:
  constexpr void take(const wire::reader& field) noexcept {
    if (field.is(1, wire::reader::i64)) time_ = field.value();
    if (field.is(2, wire::reader::varint)) severity_ = field.as_u32();
    if (field.is(3, wire::reader::len)) severity_text_ = field.bytes();
    if (field.is(5, wire::reader::len)) body_ = field.bytes();
    if (field.is(7, wire::reader::varint)) dropped_ = field.as_u32();
    if (field.is(8, wire::reader::i32)) flags_ = field.as_u32();
    if (field.is(9, wire::reader::len)) trace_id_ = field.bytes();
    if (field.is(10, wire::reader::len)) span_id_ = field.bytes();
    if (field.is(11, wire::reader::i64)) observed_ = field.value();
    if (field.is(12, wire::reader::len)) event_name_ = field.bytes();
  }

  std::string_view message_;
  std::string_view severity_text_;
  std::string_view body_;
  std::string_view event_name_;
  std::string_view trace_id_;
  std::string_view span_id_;
  std::uint64_t time_ = 0;
  std::uint64_t observed_ = 0;
  std::uint32_t severity_ = 0;
  std::uint32_t dropped_ = 0;
  std::uint32_t flags_ = 0;
  bool ok_ = true;
};

/// Calls `visit(const log_view&, const span_origin&)` for each record framed in `items` (field 2 of ScopeLogs).
/// \return false when the framing or a record did not decode to its end; what did was visited
template <typename Visitor>
constexpr bool for_each_log(std::string_view items, const span_origin& origin, Visitor&& visit) {
  bool ok = true;
  wire::reader field{items};
  while (field.next()) {
    if (!field.is(2, wire::reader::len)) continue;
    const log_view log{field.bytes()};
    ok = ok && log.ok();
    visit(log, origin);
  }
  return ok && field.ok();
}

}  // namespace otlpkit::inline OTLPKIT_ABI
