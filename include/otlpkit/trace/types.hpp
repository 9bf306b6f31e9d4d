// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>
#include <otlpkit/core/context.hpp>
#include <otlpkit/core/scope.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI {

/// The role of a span in a trace; the numbers are OTLP's.
enum class span_kind : std::uint8_t { internal = 1, server = 2, client = 3, producer = 4, consumer = 5 };

/// How an operation ended; the numbers are OTLP's. `ok` is final; `error` may be followed by `ok` or a later `error`.
enum class status_code : std::uint8_t { unset = 0, ok = 1, error = 2 };

/// The name of a span: a string literal is referred to, any other text is copied when the span records. Invalid UTF-8
/// in it is replaced by U+FFFD.
///
/// A literal is looked at where it stands, at compile time. A function that only forwards one cannot do that, so
/// `std::optional<span_guard> guard; guard.emplace("name")` does not compile: write
/// `guard.emplace(otlpkit::span_name{"name"})`.
class span_name {
 public:
  template <std::size_t n>
  consteval span_name(const char (&literal)[n]) : text_{literal, n - 1} {  // NOLINT(google-explicit-constructor)
    for (const char c : text_) lasting_ = lasting_ && static_cast<unsigned char>(c) < 0x80;
  }

  template <class Text>
  requires(std::convertible_to<const Text&, std::string_view> &&
           !std::is_array_v<Text>) constexpr span_name(const Text& text) noexcept
      : text_{text}, lasting_{false} {}  // NOLINT(google-explicit-constructor)

  /// Of a literal of ASCII that has been taken apart.
  [[nodiscard]] static constexpr span_name literal(std::string_view text) noexcept { return {text, true}; }

  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }
  /// A literal of ASCII: need neither be copied nor checked.
  [[nodiscard]] constexpr bool lasting() const noexcept { return lasting_; }

 private:
  constexpr span_name(std::string_view text, bool lasting) noexcept : text_{text}, lasting_{lasting} {}

  std::string_view text_;
  bool lasting_ = true;
};

/// A span this one is related to without being its child.
struct span_link {
  span_context context;
  fields attributes = {};
};

/// Asks for a span that starts a trace of its own.
struct no_parent_t {};
inline constexpr no_parent_t no_parent{};

/// The parent of a new span: the current span unless said otherwise.
class parent_choice {
 public:
  constexpr parent_choice() noexcept = default;
  constexpr parent_choice(const span_context& context) noexcept
      : explicit_{&context} {}                                    // NOLINT(google-explicit-constructor)
  constexpr parent_choice(no_parent_t) noexcept : root_{true} {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] constexpr const span_context* context() const noexcept { return explicit_; }
  [[nodiscard]] constexpr bool root() const noexcept { return root_; }

 private:
  const span_context* explicit_ = nullptr;
  bool root_ = false;
};

/// How a span starts, for what is not said by name and fields. Used within the call it is passed to, so temporaries in
/// it are safe.
struct span_options {
  span_kind kind = span_kind::internal;
  parent_choice parent = {};  ///< a span_context, or no_parent; default: the current span
  std::initializer_list<span_link> links = {};
  unix_ns start_time = 0;                        ///< Unix nanoseconds; 0: now
  const instrumentation_scope* scope = nullptr;  ///< who records; default: otlpkit's own scope
};

}  // namespace otlpkit::inline OTLPKIT_ABI
