// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string_view>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI {

class value_writer;

/// The key of a field. From a string literal it is made at compile time and costs nothing; a key known only at run time
/// is given as a std::string_view and must stay valid for the call. Keys are not empty; invalid UTF-8 in one is
/// replaced by U+FFFD.
class field_key {
 public:
  template <std::size_t n>
  consteval field_key(const char (&literal)[n])
      : field_key{{literal, n - 1}, is_ascii({literal, n - 1})} {  // NOLINT(google-explicit-constructor)
    static_assert(n > 1, "a field needs a key");
  }

  template <class Text>
  requires(std::convertible_to<const Text&, std::string_view> && !std::is_array_v<Text>) constexpr field_key(
      const Text& text) noexcept  // NOLINT(google-explicit-constructor)
      : field_key{std::string_view{text}, false} {}

  [[nodiscard]] constexpr const char* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return static_cast<std::uint32_t>(rest_); }
  [[nodiscard]] constexpr std::string_view text() const noexcept { return {data_, size()}; }

  /// One bit of 64, chosen by the key: a message ors the bits of its keys and need look for an earlier one only if the
  /// bit is there already.
  [[nodiscard]] constexpr std::uint64_t bit() const noexcept { return std::uint64_t{1} << (rest_ >> 32 & 63); }

  /// Known to be ASCII, and so to be valid.
  [[nodiscard]] constexpr bool ascii() const noexcept { return rest_ >> 38 != 0; }
  /// The same key, made anew. One that is passed on as it is would be kept in memory by g++, for that alone.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr field_key again() const noexcept { return {data_, rest_}; }
  /// The same key, of which it is now known.
  [[nodiscard]] constexpr field_key as_ascii() const noexcept {
    field_key key{*this};
    key.rest_ |= std::uint64_t{1} << 38;
    return key;
  }

 private:
  OTLPKIT_ALWAYS_INLINE constexpr field_key(const char* data, std::uint64_t rest) noexcept : data_{data}, rest_{rest} {}
  constexpr field_key(std::string_view text, bool ascii) noexcept
      : data_{text.data()}, rest_{(text.size() < UINT32_MAX ? text.size() : UINT32_MAX) |
                                  bit_of(text.data(), text.size()) << 32 | std::uint64_t{ascii} << 38} {}

  static constexpr bool is_ascii(std::string_view text) noexcept {
    for (const char c : text) {
      if (static_cast<unsigned char>(c) >= 0x80) return false;
    }
    return true;
  }

  /// The same at compile time and at run time: literals must get the bit that equal text gets.
  template <int count>
  static constexpr std::uint64_t load(const char* p) noexcept {
    std::uint64_t v = 0;
    if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
      std::memcpy(&v, p, count);
    } else {
      for (int i = 0; i < count; ++i) v |= std::uint64_t{static_cast<unsigned char>(p[i])} << (8 * i);
    }
    return v;
  }

  /// Looks at both ends: keys differ there more often than in the middle.
  static constexpr std::uint64_t bit_of(const char* p, std::size_t size) noexcept {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    if (size >= 8) {
      first = load<8>(p);
      last = load<8>(p + size - 8);
    } else if (size >= 4) {
      first = load<4>(p);
      last = load<4>(p + size - 4);
    } else if (size > 0) {
      first = load<1>(p);
      last = load<1>(p + size / 2) << 8 | load<1>(p + size - 1);
    }
    const std::uint64_t mixed = (first ^ last * 0x9E3779B97F4A7C15u ^ size) * 0xBF58476D1CE4E5B9u;
    return mixed >> 58;
  }

  const char* data_;
  // Size, number of the bit, whether ASCII: in one word, so that a key from a literal is two constants in registers. A
  // size beyond 32 bits is cut: a record cannot hold such a key anyway.
  std::uint64_t rest_;
};

/// Bytes that are not text: encoded as bytes_value.
struct byte_view {
  const void* data = nullptr;
  std::size_t size = 0;
};

namespace detail {

template <class T>
concept text_like = std::convertible_to<const T&, std::string_view> && !std::is_null_pointer_v<T>;

template <class T>
concept byte_like = std::same_as<std::remove_cv_t<T>, std::byte> || std::same_as < std::remove_cv_t<T>,
unsigned char > ;

template <class T>
concept byte_range = requires(const T& v) {
  v.data();
  v.size();
  requires byte_like<std::remove_pointer_t<decltype(v.data())>>;
};

template <class T>
concept optional_like = requires(const T& v) {
  static_cast<bool>(v.has_value());
  *v;
};

template <class T>
concept range_like = std::is_array_v<T> || requires(const T& v) {
  v.begin();
  v.end();
};

/// Has a function attribute_value(const T&) in its own namespace that says what to record for it.
template <class T>
concept customised = requires(const T& v) {
  attribute_value(v);
};

/// An enumeration with a to_string() in its namespace.
template <class T>
concept named_enum = std::is_enum_v<T> && requires(T v) {
  std::string_view{to_string(v)};
};

/// ... whose text is there at once and for the rest of the call. Another's is asked for while it is encoded, where it
/// may throw and own what it returns.
template <class T>
concept lasting_named_enum = named_enum<T> && requires(T v) {
  { to_string(v) }
  noexcept;
  requires std::is_trivially_copyable_v<decltype(to_string(v))>;
};

/// Becomes text without throwing.
template <class T>
concept plain_text = text_like<T> &&
    (std::is_pointer_v<T> || std::is_array_v<T> || std::is_nothrow_convertible_v<const T&, std::string_view>);

template <class T>
void encode_object(value_writer& writer, const void* object) noexcept;  // in attribute_writer.hpp

}  // namespace detail

/// A value of any kind OTLP knows, as it is passed to a call: it refers to strings and objects and must not outlive the
/// expression. Taken are bool, every integer (those above INT64_MAX become decimal text, as OTLP asks), floating point,
/// text, byte_view and ranges of std::byte or unsigned char, arrays and ranges of anything taken here, maps with text
/// keys, enumerations (by to_string() found in their namespace, else by number), optionals (empty when without value),
/// nullptr (empty), and any type for which attribute_value(const T&) in its namespace returns one of these.
class value {
 public:
  enum class kind : std::uint8_t { empty, boolean, integer, big_integer, floating, text, bytes, object };

  constexpr value() noexcept = default;

  template <class T>
  OTLPKIT_ALWAYS_INLINE constexpr value(const T& v) noexcept {  // NOLINT(google-explicit-constructor)
    if constexpr (detail::customised<T>) {
      set_object(v);
    } else if constexpr (std::is_same_v<T, bool>) {
      kind_ = kind::boolean;
      integer_ = static_cast<std::int64_t>(v);
    } else if constexpr (std::is_same_v<T, char>) {
      kind_ = kind::text;
      data_ = &v;
      size_ = 1;
    } else if constexpr (std::is_integral_v<T>) {
      if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
        kind_ = v > static_cast<T>(INT64_MAX) ? kind::big_integer : kind::integer;
      } else {
        kind_ = kind::integer;
      }
      integer_ = static_cast<std::int64_t>(v);
    } else if constexpr (std::is_floating_point_v<T>) {
      kind_ = kind::floating;
      double_ = static_cast<double>(v);
    } else if constexpr (detail::lasting_named_enum<T>) {
      set_text(std::string_view{to_string(v)});
    } else if constexpr (detail::named_enum<T>) {
      set_object(v);
    } else if constexpr (std::is_enum_v<T>) {
      *this = value{static_cast<std::underlying_type_t<T>>(v)};
    } else if constexpr (std::is_null_pointer_v<T>) {
    } else if constexpr (std::is_same_v<T, byte_view>) {
      kind_ = kind::bytes;
      data_ = v.data;
      size_ = v.size;
    } else if constexpr (detail::plain_text<T>) {
      if constexpr (std::is_pointer_v<T>) {
        if (v == nullptr) return;
      }
      set_text(std::string_view{v});
    } else if constexpr (detail::byte_range<T>) {
      kind_ = kind::bytes;
      data_ = v.data();
      size_ = v.size();
    } else {
      static_assert(
          detail::text_like<T> || detail::optional_like<T> || detail::range_like<T>,
          "otlpkit: this type is no attribute value. Give it a function `attribute_value(const T&)` in its own "
          "namespace that returns one (a number, text, a range, a map).");
      set_object(v);
    }
  }

  [[nodiscard]] constexpr kind type() const noexcept { return kind_; }
  [[nodiscard]] constexpr std::int64_t integer() const noexcept { return integer_; }
  [[nodiscard]] constexpr double floating() const noexcept { return double_; }
  [[nodiscard]] constexpr const void* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::string_view text() const noexcept { return {static_cast<const char*>(data_), size_}; }
  void encode(value_writer& writer) const noexcept { encode_(writer, data_); }

 private:
  constexpr void set_text(std::string_view v) noexcept {
    kind_ = kind::text;
    data_ = v.data();
    size_ = v.size();
  }
  template <class T>
  constexpr void set_object(const T& v) noexcept {
    kind_ = kind::object;
    data_ = &v;
    encode_ = &detail::encode_object<T>;
  }

  kind kind_ = kind::empty;
  union {
    std::int64_t integer_ = 0;
    double double_;
    const void* data_;
  };
  union {
    std::size_t size_ = 0;
    void (*encode_)(value_writer&, const void*) noexcept;
  };
};

/// A key with its value: the one grammar for spans, events, metrics and logs, written as `{"key", value}`.
struct field {
  field_key key;
  value content;

  template <class T>
  OTLPKIT_ALWAYS_INLINE constexpr field(field_key k, const T& v) noexcept : key{k}, content{v} {}
};

/// Any number of fields: `{{"key", value}, {"other", 2}}`.
using fields = std::initializer_list<field>;

}  // namespace otlpkit::inline OTLPKIT_ABI
