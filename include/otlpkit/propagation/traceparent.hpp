// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/context.hpp>
#include <otlpkit/propagation/text.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

// Bits of span_context::flags beside those of W3C, which other formats need to come out as they came in. They stay in
// the process: no W3C header carries them.
inline constexpr std::uint8_t flag_debug = 0x80;     ///< B3, Jaeger: sampled whatever it costs
inline constexpr std::uint8_t flag_deferred = 0x40;  ///< B3: whoever receives it decides about sampling
inline constexpr std::uint8_t w3c_flags = flag_sampled | flag_random;

inline constexpr std::size_t traceparent_size = 55;

/// Writes the 55 characters of a traceparent header, version 00.
OTLPKIT_ALWAYS_INLINE void format_traceparent(const span_context& from, char* out) noexcept {
  const auto flags = static_cast<char>('0' + (from.flags & w3c_flags));
  if constexpr (std::endian::native == std::endian::little) {
    // Carriers copy the text at once, in pieces of 16: it is put together in registers and stored in the same pieces,
    // as a load that spans two fresh stores waits for both. `00-` shifts everything by three characters.
    const platform::two_words t0 = platform::hex_digits(&from.trace.words[0]);
    const platform::two_words t1 = platform::hex_digits(&from.trace.words[1]);
    const platform::two_words s = platform::hex_digits(&from.span);
    constexpr std::uint64_t dash = '-';
    constexpr std::uint64_t begin = '0' | '0' << 8 | dash << 16;
    platform::put_two_words({begin | t0.first << 24, t0.first >> 40 | t0.second << 24}, out);
    platform::put_two_words({t0.second >> 40 | t1.first << 24, t1.first >> 40 | t1.second << 24}, out + 16);
    platform::put_two_words({t1.second >> 40 | dash << 24 | s.first << 32, s.first >> 32 | s.second << 32}, out + 32);
    const std::uint64_t end =
        s.second >> 24 | dash << 40 | std::uint64_t{'0'} << 48 | static_cast<std::uint64_t>(flags) << 56;
    std::memcpy(out + 47, &end, sizeof end);
  } else {
    std::memcpy(out, "00-", 3);
    put_hex(from.trace, out + 3);
    out[35] = '-';
    put_hex(from.span, out + 36);
    out[52] = '-';
    out[53] = '0';
    out[54] = flags;
  }
}

}  // namespace detail

/// Reads a traceparent header (W3C Trace Context Level 2, section 3.2). Of a version above 00 the known part is read;
/// spaces and tabs around the value are passed over.
/// \param[out] into gets ids, flags and `remote`; its trace state is left alone. Untouched when the result is false.
/// \return false when the header is not valid: then there is no parent
[[nodiscard]] inline bool parse_traceparent(std::string_view header, span_context& into) noexcept {
  const std::string_view text = detail::trim_ows(header);
  if (text.size() < detail::traceparent_size) return false;
  const char* const p = text.data();
  if (p[2] != '-' || p[35] != '-' || p[52] != '-') return false;
  if (p[0] != '0' || p[1] != '0') [[unlikely]] {
    if (detail::hex_value(p[0]) < 0 || detail::hex_value(p[1]) < 0 || (p[0] == 'f' && p[1] == 'f')) return false;
    if (text.size() > detail::traceparent_size && p[55] != '-') return false;
  } else if (text.size() != detail::traceparent_size) {
    return false;
  }
  trace_id trace;
  span_id span;
  char* const t = reinterpret_cast<char*>(&trace);
  bool good = detail::decode_hex_8(p + 3, t);
  good &= detail::decode_hex_8(p + 11, t + 4);
  good &= detail::decode_hex_8(p + 19, t + 8);
  good &= detail::decode_hex_8(p + 27, t + 12);
  good &= detail::decode_hex_8(p + 36, &span);
  good &= detail::decode_hex_8(p + 44, reinterpret_cast<char*>(&span) + 4);
  const int high = detail::hex_value(p[53]);
  const int low = detail::hex_value(p[54]);
  if (!good || (high | low) < 0 || !trace.valid() || !span.valid()) return false;
  into.trace = trace;
  into.span = span;
  into.flags = static_cast<std::uint8_t>(low & detail::w3c_flags);
  into.remote = true;
  return true;
}

}  // namespace otlpkit::inline OTLPKIT_ABI
