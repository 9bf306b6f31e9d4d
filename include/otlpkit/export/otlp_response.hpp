// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/wire_reader.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// The content of Export*PartialSuccess: what the receiver refused out of a request it accepted.
struct partial_success {
  std::int64_t rejected = 0;  ///< spans, data points or log records
  std::string message;
};

/// Decodes an Export{Trace,Metrics,Logs}ServiceResponse: all three have the same fields. An empty body is a full
/// success. \return nothing when the bytes are no such message.
[[nodiscard]] inline std::optional<partial_success> decode_export_response(std::string_view body) {
  partial_success out;
  wire::reader response{body};
  while (response.next()) {
    if (!response.is(1, wire::reader::len)) continue;
    wire::reader partial{response.bytes()};
    while (partial.next()) {
      if (partial.is(1, wire::reader::varint)) out.rejected = partial.as_int();
      if (partial.is(2, wire::reader::len)) out.message = partial.bytes();
    }
    if (!partial.ok()) return std::nullopt;
  }
  if (!response.ok()) return std::nullopt;
  return out;
}

/// The message of a google.rpc.Status, the body of an OTLP error. Its code changes nothing and is not read.
/// \return nothing when the bytes are no such message.
[[nodiscard]] inline std::optional<std::string> decode_status_message(std::string_view body) {
  std::string message;
  wire::reader status{body};
  while (status.next()) {
    if (status.is(2, wire::reader::len)) message = status.bytes();
  }
  if (!status.ok()) return std::nullopt;
  return message;
}

/// Text from a peer, fit for a terminal and a log line: control characters become blanks, the length is bounded.
[[nodiscard]] inline std::string printable(std::string_view text, std::size_t limit = 200) {
  std::string out{text.substr(0, limit)};
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto c = static_cast<unsigned char>(out[i]);
    const bool c1_control = c >= 0x80 && c < 0xA0 && i > 0 && static_cast<unsigned char>(out[i - 1]) == 0xC2;
    if (c < 0x20 || c == 0x7F) out[i] = ' ';
    if (c1_control) out[i - 1] = out[i] = ' ';
  }
  if (text.size() > limit) out += "...";
  return out;
}

/// The only statuses after which the same request may be sent again (OTLP specification, "Retryable Response Codes").
[[nodiscard]] constexpr bool is_retryable(unsigned status) noexcept {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

/// What a complete HTTP answer means for the items of the request.
struct response_meaning {
  enum class outcome : std::uint8_t {
    delivered,  ///< all but `rejected` items arrived
    retry,      ///< the same request may succeed later
    refused,    ///< final: nothing arrived and sending it again is forbidden
  };
  outcome what = outcome::delivered;
  std::uint64_t rejected = 0;  ///< with `delivered`: items the receiver refused
  std::string detail;          ///< what the receiver says about it, fit to print; may be empty
};

/// Decides by the status alone; a body that cannot be decoded is no detail, never a failure (proxies answer in HTML).
/// \param readable whether the body is plain: not in a Content-Encoding
/// \param items of the request: no more than these can have been refused
[[nodiscard]] inline response_meaning interpret_response(unsigned status, std::string_view body, bool readable,
                                                         std::uint64_t items) {
  response_meaning out;
  if (status / 100 == 2) {
    const auto partial = readable ? decode_export_response(body) : std::nullopt;
    if (!partial) return out;
    if (partial->rejected > 0) out.rejected = std::min(items, static_cast<std::uint64_t>(partial->rejected));
    out.detail = printable(partial->message);
    return out;
  }
  out.what = is_retryable(status) ? response_meaning::outcome::retry : response_meaning::outcome::refused;
  if (const auto message = readable ? decode_status_message(body) : std::nullopt) out.detail = printable(*message);
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
