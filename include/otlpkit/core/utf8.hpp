// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

/// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. A protobuf `string` must be
/// valid, or a strict receiver refuses the whole request, so text of unknown origin passes here before it is written.
namespace otlpkit::inline OTLPKIT_ABI::utf8 {

/// U+FFFD, what invalid sequences are replaced with.
inline constexpr std::string_view replacement = "\xEF\xBF\xBD";

/// One step through a text.
struct sequence {
  char32_t code_point = 0xFFFD;  ///< U+FFFD when not valid
  std::uint8_t length = 0;  ///< bytes it takes, 1 to 4; of an invalid one the longest part that could begin a valid one
  bool valid = false;
};

/// Reads the sequence at the start of `text`, which must not be empty.
[[nodiscard]] constexpr sequence first(std::string_view text) noexcept {
  const auto at = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {0xFFFD, 1, false};
  const std::uint8_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // Only the second byte has a range of its own: it is what rules out overlong forms, surrogates and > U+10FFFF.
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  char32_t code = lead & (0x7Fu >> length);
  for (std::uint8_t i = 1; i < length; ++i) {
    if (i == text.size() || at(i) < low || at(i) > high) return {0xFFFD, i, false};
    code = (code << 6) | (at(i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {code, length, true};
}

namespace detail {
/// Index of the first byte at or after `from` that may be outside ASCII. Looks at eight bytes at a time.
[[nodiscard]] constexpr std::size_t skip_ascii(std::string_view text, std::size_t from) noexcept {
  if (!std::is_constant_evaluated()) {
    while (text.size() - from >= 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, text.data() + from, 8);
      if ((eight & 0x8080'8080'8080'8080u) != 0) break;
      from += 8;
    }
  }
  while (from < text.size() && static_cast<unsigned char>(text[from]) < 0x80) ++from;
  return from;
}
}  // namespace detail

/// Bytes of the longest valid prefix.
[[nodiscard]] constexpr std::size_t valid_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  while ((i = detail::skip_ascii(text, i)) < text.size()) {
    const sequence s = first(text.substr(i));
    if (!s.valid) break;
    i += s.length;
  }
  return i;
}

[[nodiscard]] constexpr bool is_valid(std::string_view text) noexcept { return valid_prefix(text) == text.size(); }

/// Whether `text` is of 1 to 64 bytes, all of them ASCII: a quick answer for what keys and names mostly are.
[[nodiscard]] inline bool is_short_ascii(std::string_view text) noexcept {
  const auto load = [text]<class Word>(std::size_t at, Word word) noexcept {
    std::memcpy(&word, text.data() + at, sizeof word);
    return std::uint64_t{word};
  };
  const std::size_t size = text.size();
  if (size - 1 >= 64) return false;
  std::uint64_t seen = 0;
  if (size >= 8) {
    seen = load(size - 8, std::uint64_t{});
    for (std::size_t at = 0; at + 8 < size; at += 8) seen |= load(at, std::uint64_t{});
  } else if (size >= 4) {
    seen = load(0, std::uint32_t{}) | load(size - 4, std::uint32_t{});
  } else {
    seen = load(0, std::uint8_t{}) | load(size / 2, std::uint8_t{}) | load(size - 1, std::uint8_t{});
  }
  return (seen & 0x8080'8080'8080'8080u) == 0;
}

/// Code points in `text`; an invalid sequence counts as one.
[[nodiscard]] constexpr std::size_t count(std::string_view text) noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < text.size(); ++n) i += first(text.substr(i)).length;
  return n;
}

/// The prefix of at most `max_code_points`; an invalid sequence counts as one.
[[nodiscard]] constexpr std::string_view truncate(std::string_view text, std::size_t max_code_points) noexcept {
  if (text.size() <= max_code_points) return text;
  std::size_t i = 0;
  for (; max_code_points > 0 && i < text.size(); --max_code_points) i += first(text.substr(i)).length;
  return text.substr(0, i);
}

/// The longest prefix of at most `max_bytes` that ends between two sequences.
[[nodiscard]] constexpr std::string_view truncate_bytes(std::string_view text, std::size_t max_bytes) noexcept {
  if (text.size() <= max_bytes) return text;
  // A sequence has at most three continuation bytes; more in a row are invalid anyway and may be cut anywhere.
  std::size_t end = max_bytes;
  for (int back = 0; back < 3 && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80; ++back) --end;
  if ((static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80) end = max_bytes;
  if (end < max_bytes && end + first(text.substr(end)).length <= max_bytes) end = max_bytes;
  return text.substr(0, end);
}

/// Gives `text` to `sink(std::string_view)` in parts, each invalid sequence as one U+FFFD.
template <typename Sink>
requires std::is_invocable_v<Sink&, std::string_view>
constexpr void sanitize(std::string_view text, Sink&& sink) {
  while (!text.empty()) {
    const std::size_t good = valid_prefix(text);
    if (good > 0) sink(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty()) return;
    sink(replacement);
    text.remove_prefix(first(text).length);
  }
}

/// Writes `text` to `out`, each invalid sequence as one U+FFFD. `out` has room for three times the text.
/// \return the end of what was written
inline char* sanitize(std::string_view text, char* out) noexcept {
  sanitize(text, [&out](std::string_view part) {
    std::memcpy(out, part.data(), part.size());
    out += part.size();
  });
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::utf8
