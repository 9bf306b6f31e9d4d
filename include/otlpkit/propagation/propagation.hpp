// SPDX-License-Identifier: MIT
#pragma once

// Context that crosses process borders: inject() and extract() by the configured formats, baggage, and what the formats
// are made of. Standard library only.

#include <otlpkit/config.hpp>
#include <otlpkit/propagation/context_scope.hpp>

#ifdef OTLPKIT_DISABLE
#include <otlpkit/propagation/disabled.hpp>
#else
#include <otlpkit/propagation/baggage_attributes.hpp>
#include <otlpkit/propagation/propagators.hpp>
#endif
