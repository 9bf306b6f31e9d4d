// SPDX-License-Identifier: MIT
#include "linked_library.hpp"

#include <otlpkit/otlpkit.hpp>

const void* linked_library_runtime() { return &otlpkit::detail::global_runtime; }

void linked_library_record(std::size_t spans) {
  for (std::size_t i = 0; i < spans; ++i) {
    OTLPKIT_SPAN("in the library");
  }
}
