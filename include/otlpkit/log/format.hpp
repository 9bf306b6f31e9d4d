// SPDX-License-Identifier: MIT
#pragma once

// Formatted messages, for those who want fmt in their instrumented code: include it next to otlpkit/otlpkit.hpp.

#include <otlpkit/log/macros.hpp>

#ifdef OTLPKIT_DISABLE

namespace otlpkit::inline OTLPKIT_ABI {
template <class... T>
[[nodiscard]] constexpr detail::ignored_text formatted(const T&...) noexcept {
  return {};
}
}  // namespace otlpkit::inline OTLPKIT_ABI

#else

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// A message made by formatted(). Text of up to 500 bytes lives in the object itself; longer text is on the heap. It
/// may be passed wherever a message, a field's value or a std::string_view is wanted.
class formatted_message {
 public:
  template <class... T>
  explicit formatted_message(fmt::string_view format, T&&... arguments) noexcept {
    try {
      fmt::vformat_to(std::back_inserter(text_), format, fmt::make_format_args(arguments...));
    } catch (...) {  // a formatter of the user's, or memory is out: what there is must do
      failed_ = true;
    }
  }

  /// The text as far as it could be made.
  [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), text_.size()}; }
  operator std::string_view() const noexcept { return view(); }  // NOLINT(google-explicit-constructor)
  /// A formatter threw: the text ends where it did.
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  fmt::basic_memory_buffer<char, 500> text_;
  bool failed_ = false;
};

/// Formats a message with fmt, checked by the compiler:
///
///     OTLPKIT_INFO(otlpkit::formatted("{} items in {:.1f} ms", n, ms), {"cart_id", id});
///
/// In a macro it runs only if the record is kept. Never throws; up to 500 bytes it allocates nothing.
template <class... T>
[[nodiscard]] formatted_message formatted(fmt::format_string<T...> format, T&&... arguments) noexcept {
  return formatted_message{fmt::string_view{format}, std::forward<T>(arguments)...};
}

}  // namespace otlpkit::inline OTLPKIT_ABI

#endif
