// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::wire {

/// Goes through the fields of one protobuf message: the one reader of everything that is encoded (spans on their way to
/// the terminal or the viewer, requests of neighbours, responses of receivers, tests).
///
/// \code
/// for (wire::reader field{message}; field.next();) {
///   if (field.is(5, wire::reader::len)) name = field.bytes();
/// }
/// \endcode
///
/// Owns nothing and copies nothing: views live as long as the bytes. Never reads outside them, whatever they hold, and
/// every step moves forward. Malformed input ends the walk and clears ok(): a varint that is cut off or does not fit
/// 64 bits, a length beyond the end, field number 0 or above 2^29-1, groups (wire types 3 and 4, which OTLP never had).
/// A varint with needless padding is accepted, as every protobuf parser does.
class reader {
 public:
  enum wire_type : std::uint8_t { varint = 0, i64 = 1, len = 2, i32 = 5 };

  constexpr reader() noexcept = default;
  constexpr explicit reader(std::string_view message) noexcept : rest_{message} {}

  /// Moves to the next field. False at the end and at malformed input; ok() tells which.
  constexpr bool next() noexcept {
    if (rest_.empty() || !ok_) return false;
    const std::string_view start = rest_;
    ok_ = read_field();
    if (!ok_) {
      rest_ = {};
      return false;
    }
    raw_ = start.substr(0, start.size() - rest_.size());
    return true;
  }

  /// False once malformed input was met; fields returned before it stand.
  [[nodiscard]] constexpr bool ok() const noexcept { return ok_; }

  /// Of the current field, valid after next() returned true.
  [[nodiscard]] constexpr std::uint32_t number() const noexcept { return number_; }
  [[nodiscard]] constexpr wire_type type() const noexcept { return type_; }

  /// Whether the current field is `number` in the encoding `type`. A known number in another encoding counts as
  /// unknown, and unknown fields are skipped.
  [[nodiscard]] constexpr bool is(std::uint32_t number, wire_type type) const noexcept {
    return number_ == number && type_ == type;
  }

  /// The value of a varint, i64 or i32 field, unsigned; 0 for a len field.
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }
  /// int64 and int32 are sign-extended to 64 bits on the wire; so are enums.
  [[nodiscard]] constexpr std::int64_t as_int() const noexcept { return static_cast<std::int64_t>(value_); }
  [[nodiscard]] constexpr std::uint32_t as_u32() const noexcept { return static_cast<std::uint32_t>(value_); }
  [[nodiscard]] constexpr bool as_bool() const noexcept { return value_ != 0; }
  /// sint32 and sint64: zigzag.
  [[nodiscard]] constexpr std::int64_t as_zigzag() const noexcept {
    return static_cast<std::int64_t>((value_ >> 1) ^ (~(value_ & 1) + 1));
  }
  /// The double of an i64 field.
  [[nodiscard]] constexpr double as_double() const noexcept { return std::bit_cast<double>(value_); }

  /// The content of a len field (string, bytes, message, packed numbers); empty for the others.
  [[nodiscard]] constexpr std::string_view bytes() const noexcept { return bytes_; }
  /// The whole field with its tag, to be copied elsewhere as it is.
  [[nodiscard]] constexpr std::string_view raw() const noexcept { return raw_; }
  /// What has not been read yet.
  [[nodiscard]] constexpr std::string_view rest() const noexcept { return rest_; }

  /// Takes a varint off the front of `in`, for packed fields and framing. False when it is cut off or does not fit 64
  /// bits: `in` and `out` are then as they were.
  [[nodiscard]] static constexpr bool take_varint(std::string_view& in, std::uint64_t& out) noexcept {
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < in.size() && i < 10; ++i) {
      const std::uint64_t octet = static_cast<unsigned char>(in[i]);
      if (i == 9 && octet > 1) return false;
      result |= (octet & 0x7F) << (7 * i);
      if (octet < 0x80) {
        in.remove_prefix(i + 1);
        out = result;
        return true;
      }
    }
    return false;
  }

  /// Takes a little-endian number of `width` bytes (4 or 8) off the front of `in`; false when there are fewer.
  [[nodiscard]] static constexpr bool take_fixed(std::string_view& in, std::size_t width, std::uint64_t& out) noexcept {
    if (in.size() < width) return false;
    std::uint64_t result = 0;
    for (std::size_t i = 0; i < width; ++i) result |= std::uint64_t{static_cast<unsigned char>(in[i])} << (8 * i);
    in.remove_prefix(width);
    out = result;
    return true;
  }

 private:
  constexpr bool read_field() noexcept {
    std::uint64_t tag = 0;
    if (!take_varint(rest_, tag) || tag > 0xFFFF'FFFFu || (tag >> 3) == 0) return false;
    number_ = static_cast<std::uint32_t>(tag >> 3);
    bytes_ = {};
    value_ = 0;
    switch (tag & 7) {
      case varint: type_ = varint; return take_varint(rest_, value_);
      case i64: type_ = i64; return take_fixed(rest_, 8, value_);
      case i32: type_ = i32; return take_fixed(rest_, 4, value_);
      case len: {
        type_ = len;
        std::uint64_t size = 0;
        if (!take_varint(rest_, size) || size > rest_.size()) return false;
        bytes_ = rest_.substr(0, static_cast<std::size_t>(size));
        rest_.remove_prefix(static_cast<std::size_t>(size));
        return true;
      }
      default: return false;
    }
  }

  std::string_view rest_;
  std::string_view raw_;
  std::string_view bytes_;
  std::uint64_t value_ = 0;
  std::uint32_t number_ = 0;
  wire_type type_ = varint;
  bool ok_ = true;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::wire
