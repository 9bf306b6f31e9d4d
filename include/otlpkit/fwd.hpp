// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

// Names only, for headers that pass these types by reference.
namespace otlpkit::inline OTLPKIT_ABI {

class id_generator;
class instrumentation_scope;
class sampler;
class span;
class span_guard;
class telemetry;
struct field;
struct settings;
struct span_context;
struct span_id;
struct span_options;
struct trace_id;

}  // namespace otlpkit::inline OTLPKIT_ABI
