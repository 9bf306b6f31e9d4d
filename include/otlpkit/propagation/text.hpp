// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// The pieces every header format is read and written with. None allocates.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Without the spaces and tabs around it (RFC 9110: OWS).
[[nodiscard]] constexpr std::string_view trim_ows(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

[[nodiscard]] constexpr char lower_ascii(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Whether two header names are the same, in any case.
[[nodiscard]] constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower_ascii(a[i]) != lower_ascii(b[i])) return false;
  }
  return true;
}

/// Value of a hexadecimal digit; -1 for anything else, and for upper case unless `any_case`.
[[nodiscard]] constexpr int hex_value(char c, bool any_case = false) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (any_case && c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Decodes eight lowercase hexadecimal digits to four bytes. False if one is none; then the bytes are anything.
///
/// All eight at a time: a comparison of every byte with a bound is an addition that carries into its top bit, which is
/// free because ASCII has it clear.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool decode_hex_8(const char* text, void* out) noexcept {
  if constexpr (std::endian::native == std::endian::little) {
    constexpr std::uint64_t ones = 0x0101'0101'0101'0101u;
    constexpr std::uint64_t tops = 0x80 * ones;
    std::uint64_t x = 0;
    std::memcpy(&x, text, sizeof x);
    const std::uint64_t letters = x + (0x80 - 'a') * ones;
    const std::uint64_t digits = (x + (0x80 - '0') * ones) & ~(x + (0x80 - '9' - 1) * ones);
    const std::uint64_t good = (digits | (letters & ~(x + (0x80 - 'f' - 1) * ones))) & ~x;
    std::uint64_t v = (x & (0x0F * ones)) + 9 * ((letters >> 7) & ones);
    v = (v << 4 | v >> 8) & 0x00FF'00FF'00FF'00FFu;
    v = (v | v >> 8) & 0x0000'FFFF'0000'FFFFu;
    const auto four = static_cast<std::uint32_t>(v | v >> 16);
    std::memcpy(out, &four, sizeof four);
    return (good & tops) == tops;
  } else {
    auto* to = static_cast<unsigned char*>(out);
    for (std::size_t i = 0; i < 4; ++i) {
      const int high = hex_value(text[2 * i]);
      const int low = hex_value(text[2 * i + 1]);
      if (high < 0 || low < 0) return false;
      to[i] = static_cast<unsigned char>(high * 16 + low);
    }
    return true;
  }
}

/// Decodes `2 * bytes` digits, `bytes` a multiple of 4.
[[nodiscard]] inline bool decode_hex(const char* text, void* out, std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; i += 4) {
    if (!decode_hex_8(text + 2 * i, static_cast<char*>(out) + i)) return false;
  }
  return true;
}

/// Writes an id as lowercase hexadecimal digits. Returns the end.
template <class Id>
OTLPKIT_ALWAYS_INLINE char* put_hex(const Id& id, char* out) noexcept {
  static_assert(sizeof id % 8 == 0);
  platform::put_two_words(platform::hex_digits(&id), out);
  if constexpr (sizeof id == 16) {
    platform::put_two_words(platform::hex_digits(reinterpret_cast<const char*>(&id) + 8), out + 16);
  }
  return out + 2 * sizeof id;
}

/// Decodes hexadecimal digits, in any number up to `2 * bytes`, missing ones in front being zeros. False when there is
/// none, one is no digit, or there are too many.
[[nodiscard]] inline bool decode_short_hex(std::string_view text, unsigned char* out, std::size_t bytes) noexcept {
  if (text.empty() || text.size() > 2 * bytes) return false;
  std::memset(out, 0, bytes);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int digit = hex_value(text[text.size() - 1 - i], true);
    if (digit < 0) return false;
    unsigned char& byte = out[bytes - 1 - i / 2];
    byte = static_cast<unsigned char>(byte | (i % 2 == 0 ? digit : digit << 4));
  }
  return true;
}

/// Text built in place, in memory of fixed size: what does not fit is not taken, and the whole is marked as cut.
template <std::size_t capacity>
class fixed_text {
 public:
  bool append(std::string_view part) noexcept {
    if (part.size() > capacity - size_) return false;
    if (!part.empty()) std::memcpy(text_ + size_, part.data(), part.size());
    size_ += part.size();
    return true;
  }
  bool append(char c) noexcept { return append(std::string_view{&c, 1}); }
  void resize(std::size_t size) noexcept { size_ = size; }  // only to shorten
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {text_, size_}; }

 private:
  char text_[capacity];
  std::size_t size_ = 0;
};

/// Appends `text` with every byte for which `plain` is false as %XX. False when it does not fit; then a part of it may
/// have been taken.
template <class Out, class Plain>
bool append_percent_encoded(Out& out, std::string_view text, Plain plain) noexcept {
  for (const char c : text) {
    if (plain(c)) {
      if (!out.append(c)) return false;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    const char code[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
    if (!out.append(std::string_view{code, 3})) return false;
  }
  return true;
}

/// Decodes %XX from `text` to `out`, which has room for all of it; a `%` without two digits stays. Returns the end.
inline char* percent_decode_to(std::string_view text, char* out) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && text.size() - i >= 3) {
      const int high = hex_value(text[i + 1], true);
      const int low = hex_value(text[i + 2], true);
      if (high >= 0 && low >= 0) {
        *out++ = static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    *out++ = text[i];
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
