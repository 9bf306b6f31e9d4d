// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>

/// A record of each severity, as far as the including file keeps them.
inline void one_of_each() {
  OTLPKIT_TRACE("m");
  OTLPKIT_DEBUG("m");
  OTLPKIT_INFO("m");
  OTLPKIT_WARN("m");
  OTLPKIT_ERROR("m");
  OTLPKIT_FATAL("m");
}
