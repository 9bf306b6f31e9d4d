// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>

#ifndef OTLPKIT_DISABLE
#include <otlpkit/propagation/traceparent.hpp>
#endif

#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::messaging::detail {

/// The current span's context as text to be stored beside what it is about: a traceparent, or nothing.
[[nodiscard]] inline std::string stored_context() {
#ifndef OTLPKIT_DISABLE
  const span_context& here = current_context();
  if (here.valid()) {
    std::string text(otlpkit::detail::traceparent_size, '\0');
    otlpkit::detail::format_traceparent(here, text.data());
    return text;
  }
#endif
  return {};
}

/// Links a span to a context that was stored.
inline void link_stored([[maybe_unused]] span& s, [[maybe_unused]] std::string_view stored) noexcept {
#ifndef OTLPKIT_DISABLE
  span_context from;
  if (!stored.empty() && s.recording() && parse_traceparent(stored, from)) s.link(from);
#endif
}

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging::detail
