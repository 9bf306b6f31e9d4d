// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/wire_reader.hpp>

#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// The repeated message `Number` of an encoded message, decoded one by one while a range-for walks it. Fields that do
/// not decode end the walk.
template <typename View, std::uint32_t Number>
class repeated_view {
 public:
  struct sentinel {};
  class iterator {
   public:
    constexpr explicit iterator(std::string_view message) noexcept : field_{message} { ++*this; }
    [[nodiscard]] constexpr View operator*() const noexcept { return View{field_.bytes()}; }
    constexpr iterator& operator++() noexcept {
      do more_ = field_.next();
      while (more_ && !field_.is(Number, wire::reader::len));
      return *this;
    }
    [[nodiscard]] constexpr bool operator==(sentinel) const noexcept { return !more_; }

   private:
    wire::reader field_;
    bool more_ = false;
  };

  constexpr explicit repeated_view(std::string_view message) noexcept : message_{message} {}
  [[nodiscard]] constexpr iterator begin() const noexcept { return iterator{message_}; }
  [[nodiscard]] constexpr sentinel end() const noexcept { return {}; }
  [[nodiscard]] constexpr bool empty() const noexcept { return begin() == end(); }
  /// Counts by walking.
  [[nodiscard]] constexpr std::size_t size() const noexcept {
    std::size_t n = 0;
    for (auto i = begin(); !(i == end()); ++i) ++n;
    return n;
  }

 private:
  std::string_view message_;
};

struct field_view;

/// An encoded AnyValue: the value of an attribute, read without a copy. Views live as long as the bytes.
class value_view {
 public:
  enum class type : std::uint8_t { empty, string, boolean, integer, real, array, map, bytes };

  /// The empty value, which OTLP knows as a value of its own.
  constexpr value_view() noexcept = default;
  /// \param message an AnyValue; of several members the last counts, as protobuf has it for a oneof
  constexpr explicit value_view(std::string_view message) noexcept {
    for (wire::reader field{message}; field.next();) {
      if (const type t = type_of(field); t != type::empty) {
        type_ = t;
        number_ = field.value();
        bytes_ = field.bytes();
      }
    }
  }

  [[nodiscard]] constexpr type kind() const noexcept { return type_; }
  /// The value if it is of that kind; otherwise empty, false or 0.
  [[nodiscard]] constexpr std::string_view as_string() const noexcept {
    return type_ == type::string ? bytes_ : std::string_view{};
  }
  [[nodiscard]] constexpr std::string_view as_bytes() const noexcept {
    return type_ == type::bytes ? bytes_ : std::string_view{};
  }
  [[nodiscard]] constexpr bool as_bool() const noexcept { return type_ == type::boolean && number_ != 0; }
  [[nodiscard]] constexpr std::int64_t as_int() const noexcept {
    return type_ == type::integer ? static_cast<std::int64_t>(number_) : 0;
  }
  [[nodiscard]] constexpr double as_double() const noexcept {
    return type_ == type::real ? std::bit_cast<double>(number_) : 0;
  }
  /// The values of an array; none for another kind.
  [[nodiscard]] constexpr repeated_view<value_view, 1> elements() const noexcept {
    return repeated_view<value_view, 1>{type_ == type::array ? bytes_ : std::string_view{}};
  }
  /// The pairs of a map; none for another kind.
  [[nodiscard]] constexpr repeated_view<field_view, 1> entries() const noexcept;

 private:
  [[nodiscard]] static constexpr type type_of(const wire::reader& field) noexcept {
    if (field.is(1, wire::reader::len)) return type::string;
    if (field.is(2, wire::reader::varint)) return type::boolean;
    if (field.is(3, wire::reader::varint)) return type::integer;
    if (field.is(4, wire::reader::i64)) return type::real;
    if (field.is(5, wire::reader::len)) return type::array;
    if (field.is(6, wire::reader::len)) return type::map;
    if (field.is(7, wire::reader::len)) return type::bytes;
    return type::empty;
  }

  std::string_view bytes_;
  std::uint64_t number_ = 0;
  type type_ = type::empty;
};

/// An encoded KeyValue.
struct field_view {
  constexpr field_view() noexcept = default;
  constexpr explicit field_view(std::string_view message) noexcept {
    for (wire::reader field{message}; field.next();) {
      if (field.is(1, wire::reader::len)) key = field.bytes();
      if (field.is(2, wire::reader::len)) value = value_view{field.bytes()};
    }
  }
  std::string_view key;
  value_view value;
};

constexpr repeated_view<field_view, 1> value_view::entries() const noexcept {
  return repeated_view<field_view, 1>{type_ == type::map ? bytes_ : std::string_view{}};
}

}  // namespace otlpkit::inline OTLPKIT_ABI
