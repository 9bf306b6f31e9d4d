// SPDX-License-Identifier: MIT
#pragma once

#include <opentelemetry/logs/logger.h>
#include <opentelemetry/metrics/meter.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/trace/tracer.h>

#include <cstdint>

/// The reference C++ SDK as a program sets it up that wants it fast: batch processors with a thread of their own and
/// their default options, and exporters whose recordables are OTLP messages from the start and which throw them away.
namespace peer {

namespace api = opentelemetry;

/// They return when nothing waits in the SDK, and end the program when it lost a record.
[[nodiscard]] api::nostd::shared_ptr<api::trace::Tracer> tracer();
[[nodiscard]] api::nostd::shared_ptr<api::logs::Logger> logger();
[[nodiscard]] api::nostd::shared_ptr<api::metrics::Meter> meter();

/// A tracer of a program without an SDK.
[[nodiscard]] api::nostd::shared_ptr<api::trace::Tracer> no_tracer();

/// What was recorded since tracer() or logger(): what is exported is held against that.
void expect_spans(std::uint64_t count);
void expect_logs(std::uint64_t count);

}  // namespace peer
