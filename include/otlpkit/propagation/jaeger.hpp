// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/propagation/baggage_header.hpp>
#include <otlpkit/propagation/carrier.hpp>
#include <otlpkit/propagation/traceparent.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// The headers of Jaeger's own clients: `uber-trace-id: {trace}:{span}:{parent}:{flags}` and `uberctx-{key}: value`.
namespace otlpkit::inline OTLPKIT_ABI::detail {

inline constexpr std::string_view jaeger_baggage_prefix = "uberctx-";

[[nodiscard]] inline bool parse_jaeger(std::string_view header, span_context& into) noexcept {
  constexpr std::size_t longest = 3 * (32 + 16 + 16 + 2 + 3);  // every character as %XX
  header = trim_ows(header);
  if (header.size() > longest) return false;
  char decoded[longest];
  std::string_view rest{decoded, static_cast<std::size_t>(percent_decode_to(header, decoded) - decoded)};
  std::string_view parts[4];
  for (int i = 0; i < 4; ++i) {
    const std::size_t colon = rest.find(':');
    if ((colon == std::string_view::npos) != (i == 3)) return false;
    parts[i] = rest.substr(0, colon);
    if (i < 3) rest.remove_prefix(colon + 1);
  }
  unsigned char trace[16];
  unsigned char span[8];
  unsigned char parent[8];
  unsigned char flags = 0;
  if (!decode_short_hex(parts[0], trace, sizeof trace) || !decode_short_hex(parts[1], span, sizeof span) ||
      (!parts[2].empty() && !decode_short_hex(parts[2], parent, sizeof parent)) ||
      !decode_short_hex(parts[3], &flags, 1)) {
    return false;
  }
  trace_id t;
  span_id s;
  std::memcpy(&t, trace, sizeof t);
  std::memcpy(&s, span, sizeof s);
  if (!t.valid() || !s.valid()) return false;
  into.trace = t;
  into.span = s;
  into.remote = true;
  into.flags = (flags & 2) != 0   ? static_cast<std::uint8_t>(flag_sampled | flag_debug)
               : (flags & 1) != 0 ? flag_sampled
                                  : std::uint8_t{0};
  return true;
}

template <class C>
[[nodiscard]] bool extract_jaeger(const C& carrier, span_context& into) {
  bool first = true;
  bool found = false;
  for_each_value(carrier, "uber-trace-id", [&](std::string_view value) {
    if (first) found = parse_jaeger(value, into);
    first = false;
  });
  return found;
}

/// Baggage added to `into`; nothing from a carrier that cannot be walked.
template <class C>
void extract_jaeger_baggage(const C& carrier, baggage& into) {
  if constexpr (walkable<C>) {
    bool any = false;
    const auto is_baggage = [](std::string_view name) {
      return name.size() > jaeger_baggage_prefix.size() &&
             same_name(name.substr(0, jaeger_baggage_prefix.size()), jaeger_baggage_prefix);
    };
    for_each_header(carrier, [&](std::string_view name, std::string_view) { any = any || is_baggage(name); });
    if (!any) return;
    baggage_reader reader;
    for_each_header(carrier, [&](std::string_view name, std::string_view value) {
      if (!is_baggage(name)) return;
      name.remove_prefix(jaeger_baggage_prefix.size());
      if (is_token(name)) reader.take(name, trim_ows(value), {});
    });
    for (const baggage_entry& e : reader.result()) into = into.with(e.key, e.value);
  }
}

template <class C>
void inject_jaeger(C& carrier, const span_context& from) {
  char text[53];
  put_hex(from.trace, text);
  text[32] = ':';
  put_hex(from.span, text + 33);
  std::memcpy(text + 49, ":0:0", 4);
  text[52] = (from.flags & flag_debug) != 0 ? '3' : from.sampled() ? '1' : '0';
  set_header(carrier, "uber-trace-id", {text, sizeof text});
}

template <class C>
void inject_jaeger_baggage(C& carrier, const baggage& from) {
  for (const baggage_entry& e : from) {
    fixed_text<256> name;
    baggage_text value;
    if (!is_token(e.key)) {
      report_unsent_baggage(false);
      continue;
    }
    if (name.append(jaeger_baggage_prefix) && name.append(e.key) &&
        append_percent_encoded(value, e.value, [](char c) { return is_baggage_octet(c) && c != '%'; })) {
      set_header(carrier, name.view(), value.view());
    } else {
      report_unsent_baggage(true);
    }
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
