// SPDX-License-Identifier: MIT
#pragma once

// The functions of otlpkit::telemetry. otlpkit/telemetry.hpp includes this, or otlpkit/src.hpp does.

#include <otlpkit/impl/assembly.hpp>
#include <otlpkit/sdk/active_pipeline.hpp>
#include <otlpkit/sdk/finalize.hpp>
#include <otlpkit/telemetry.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI {

OTLPKIT_DECL telemetry::telemetry(const settings& s, const otlpkit::environment& env) : config_{sdk::finalize(s, env)} {
  if (config_.diagnostics != nullptr || config_.origin_of("log_level").from != sdk::origin::source::fallback) {
    on_diagnostic(config_.diagnostics, config_.log_level.value_or(static_cast<diagnostic_level>(255)));
  }
  for (const std::string& warning : config_.warnings) report(diagnostic_level::warning, warning);
  if (config_.disabled) {
    set_propagators(sdk::detail::chosen_propagators(config_));  // contexts go on through a program that records nothing
    return;
  }
  std::uint32_t mode = detail::mode_traces | detail::mode_logs | detail::mode_metrics;
  if (sdk::detail::follows_parent(config_.sampler)) mode |= detail::mode_parent_based;
  if (config_.id_generator != nullptr) mode |= detail::mode_custom_ids;
  if (config_.self_metrics) mode |= detail::mode_count_spans;
  mode |= sdk::detail::log_mode(config_.log_records);
  // First, so that fork() takes the pipeline's lock before theirs, as the making of a pipeline does.
  detail::join_process(detail::metric_hooks);
  detail::join_process(detail::log_level_hooks);
  const auto kept = std::make_shared<const sdk::configuration>(config_);
  generation_ = sdk::active_pipeline::begin([kept](bool forked) { return sdk::detail::make_pipeline(*kept, forked); },
                                            mode, config_.books, config_.shutdown_timeout,
                                            [&] { sdk::detail::prepare_runtime(config_); });
}

OTLPKIT_DECL bool telemetry::flush(std::chrono::milliseconds timeout) {
  const auto p = sdk::active_pipeline::get(generation_);
  return p == nullptr || p->flush(sdk::pipeline::clock::now() + timeout);
}

OTLPKIT_DECL bool telemetry::shutdown(std::chrono::milliseconds timeout) noexcept {
  return generation_ == 0 || sdk::active_pipeline::end(generation_, timeout);
}

OTLPKIT_DECL sdk::books telemetry::books() const { return sdk::active_pipeline::read_books(generation_); }

OTLPKIT_DECL std::uint16_t telemetry::prometheus_port() const noexcept {
  return generation_ == 0 ? std::uint16_t{0} : prometheus::detail::port_of_endpoint.load(platform::acquire);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
