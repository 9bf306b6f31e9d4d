// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// The one T there is, made when it is first asked for and never destroyed: objects of static storage may use it until
/// the process ends, in whatever order they go. Thread-safe. Throws std::bad_alloc, and what T's constructor throws.
template <class T>
[[nodiscard]] const T& immortal() {
  static const T& one = *new T;
  return one;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
