// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/propagation/carrier.hpp>
#include <otlpkit/propagation/traceparent.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// B3, the headers of Zipkin (openzipkin/b3-propagation): one header `b3`, or several `X-B3-*`.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Reads the ids; a trace id of 64 bits is padded on the left.
[[nodiscard]] inline bool parse_b3_ids(std::string_view trace, std::string_view span, span_context& into) noexcept {
  trace_id t;
  span_id s;
  if (span.size() != 16 || (trace.size() != 32 && trace.size() != 16)) return false;
  char* const at = reinterpret_cast<char*>(&t) + (trace.size() == 16 ? 8 : 0);
  if (!decode_hex(trace.data(), at, trace.size() / 2) || !decode_hex(span.data(), &s, sizeof s)) return false;
  if (!t.valid() || !s.valid()) return false;
  into.trace = t;
  into.span = s;
  into.remote = true;
  return true;
}

/// `{trace}-{span}[-{state}[-{parent}]]`. A state alone has no ids and is no parent.
[[nodiscard]] inline bool parse_b3(std::string_view header, span_context& into) noexcept {
  const auto part = [&header] {
    const std::size_t dash = header.find('-');
    const std::string_view taken = header.substr(0, dash);
    header = dash == std::string_view::npos ? std::string_view{} : header.substr(dash + 1);
    return taken;
  };
  header = trim_ows(header);
  if (header.empty() || header.back() == '-') return false;
  const std::string_view trace = part();
  const std::string_view span = part();
  std::uint8_t flags = flag_deferred;
  if (!header.empty()) {
    const std::string_view state = part();
    if (state == "1") {
      flags = flag_sampled;
    } else if (state == "0") {
      flags = 0;
    } else if (state == "d") {
      flags = flag_sampled | flag_debug;
    } else {
      return false;
    }
    span_id parent;
    if (!header.empty() && (header.size() != 16 || !decode_hex(header.data(), &parent, sizeof parent))) return false;
  }
  if (!parse_b3_ids(trace, span, into)) return false;
  into.flags = flags;
  return true;
}

template <class C>
[[nodiscard]] bool extract_b3_single(const C& carrier, span_context& into) {
  bool first = true;
  bool found = false;
  for_each_value(carrier, "b3", [&](std::string_view value) {
    if (first) found = parse_b3(value, into);
    first = false;
  });
  return found;
}

/// X-B3-TraceId, X-B3-SpanId and X-B3-Sampled or X-B3-Flags.
template <class C>
[[nodiscard]] bool extract_b3_multi(const C& carrier, span_context& into) {
  struct held {  // a value is gone when its call returns
    char text[33];
    std::size_t size = 0;
    [[nodiscard]] std::string_view view() const noexcept { return {text, size}; }
  };
  const auto read = [&carrier](std::string_view name) {
    held h;
    bool first = true;
    for_each_value(carrier, name, [&](std::string_view value) {
      value = trim_ows(value);
      if (first) {
        h.size = value.size() < sizeof h.text ? value.size() : sizeof h.text;  // 33: too long to be right
        if (h.size != 0) std::memcpy(h.text, value.data(), h.size);
      }
      first = false;
    });
    return h;
  };
  const held trace = read("X-B3-TraceId");
  if (trace.size == 0) return false;
  const held span = read("X-B3-SpanId");
  std::uint8_t flags = flag_deferred;
  if (read("X-B3-Flags").view() == "1") {
    flags = flag_sampled | flag_debug;
  } else if (const held sampled = read("X-B3-Sampled"); sampled.size != 0) {
    if (same_name(sampled.view(), "true") || sampled.view() == "1") {
      flags = flag_sampled;
    } else if (same_name(sampled.view(), "false") || sampled.view() == "0") {
      flags = 0;
    } else {
      return false;
    }
  }
  if (!parse_b3_ids(trace.view(), span.view(), into)) return false;
  into.flags = flags;
  return true;
}

/// Either form, whichever is configured for sending.
template <class C>
[[nodiscard]] bool extract_b3(const C& carrier, span_context& into) {
  return extract_b3_single(carrier, into) || extract_b3_multi(carrier, into);
}

template <class C>
void inject_b3_single(C& carrier, const span_context& from) {
  char text[51];
  put_hex(from.trace, text);
  text[32] = '-';
  put_hex(from.span, text + 33);
  text[49] = '-';
  text[50] = (from.flags & flag_debug) != 0 ? 'd' : from.sampled() ? '1' : '0';
  const bool deferred = (from.flags & (flag_deferred | flag_sampled)) == flag_deferred;
  set_header(carrier, "b3", {text, deferred ? std::size_t{49} : sizeof text});
}

template <class C>
void inject_b3_multi(C& carrier, const span_context& from) {
  char text[32];
  put_hex(from.trace, text);
  set_header(carrier, "X-B3-TraceId", {text, 32});
  put_hex(from.span, text);
  set_header(carrier, "X-B3-SpanId", {text, 16});
  if ((from.flags & flag_debug) != 0) {
    set_header(carrier, "X-B3-Flags", "1");
  } else if ((from.flags & (flag_deferred | flag_sampled)) != flag_deferred) {
    set_header(carrier, "X-B3-Sampled", from.sampled() ? "1" : "0");
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
