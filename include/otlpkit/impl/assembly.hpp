// SPDX-License-Identifier: MIT
#pragma once

// From the settings in force to what they ask for: exporters, the pipeline that feeds them, and what instrumented code
// reads. Brings Boost.Asio and Beast.

#include <otlpkit/core/resource_detectors.hpp>
#include <otlpkit/export/console_logs.hpp>
#include <otlpkit/export/console_metrics.hpp>
#include <otlpkit/export/console_tree.hpp>
#include <otlpkit/export/otlp_http.hpp>
#include <otlpkit/export/prometheus_endpoint.hpp>
#include <otlpkit/log/level.hpp>
#include <otlpkit/propagation/propagation.hpp>
#include <otlpkit/sdk/configuration.hpp>
#include <otlpkit/sdk/metric_plan.hpp>
#include <otlpkit/sdk/metric_pull.hpp>
#include <otlpkit/sdk/metric_reader.hpp>
#include <otlpkit/sdk/pipeline.hpp>
#include <otlpkit/sdk/self_metrics.hpp>
#include <otlpkit/sdk/span_metrics.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk::detail {

[[nodiscard]] inline exporters::otlp_http_options otlp_options(const configuration& c, signal s) {
  const signal_configuration& from = c.of(s);
  exporters::otlp_http_options o;
  o.signal = s;
  o.url = from.endpoint.text();
  o.headers = from.headers;
  o.timeout = from.timeout;
  o.compression = from.compression;
  o.tls = {from.certificate, from.client_certificate, from.client_key};
  return o;
}

/// The endpoint for Prometheus; nullptr, and a report, when it cannot listen. Throws only where code asked for it.
[[nodiscard]] inline std::shared_ptr<exporter> make_prometheus(const configuration& c, boost::asio::io_context& io,
                                                               std::function<std::shared_ptr<const batch>()> collect,
                                                               bool may_throw) {
  try {
    prometheus::endpoint_options o;
    o.host = c.prometheus_host;
    o.port = c.prometheus_port;
    o.collect = std::move(collect);
    o.page = {c.prometheus_scope_labels, c.prometheus_target_info, c.translation, c.prometheus_resource_labels};
    return std::make_shared<prometheus::endpoint>(io, std::move(o));
  } catch (const config_error& e) {
    for (const char* setting : {"prometheus.host", "prometheus.port", "metrics.exporters"}) {
      if (may_throw && c.origin_of(setting).from == origin::source::code) throw;
    }
    report(diagnostic_level::error, std::string{"metrics are not served to Prometheus: "} + e.what());
    return nullptr;
  }
}

/// The exporters the configuration asks for. One that cannot be made for a reason in the environment is reported and
/// left out; a reason in code is thrown.
[[nodiscard]] inline std::vector<std::shared_ptr<exporter>> make_exporters(const configuration& c,
                                                                           boost::asio::io_context& io) {
  std::vector<std::shared_ptr<exporter>> made;
  for (std::size_t i = 0; i < signal_count; ++i) {
    const auto s = static_cast<signal>(i);
    if (!c.of(s).exports_to(exporter_kind::otlp)) continue;
    try {
      std::shared_ptr<exporter> e = std::make_shared<exporters::otlp_http_exporter>(io, otlp_options(c, s));
      const exporters::url& server = c.of(s).endpoint;
      made.push_back(c.self_metrics ? self_metrics::observe(std::move(e), server.host, server.port) : std::move(e));
    } catch (const config_error& e) {
      const std::string prefix{to_string(s)};
      for (const char* setting : {".endpoint", ".certificate", ".client_key", ".client_certificate"}) {
        if (c.origin_of(prefix + setting).from == origin::source::code) throw;
      }
      report(diagnostic_level::error, prefix + " are not exported: " + e.what());
    }
  }
  const auto add = [&](std::shared_ptr<exporter> e) {
    made.push_back(c.self_metrics ? self_metrics::observe(std::move(e)) : std::move(e));
  };
  if (c.of(signal::traces).exports_to(exporter_kind::console)) add(std::make_shared<exporters::console_tree>());
  if (c.of(signal::logs).exports_to(exporter_kind::console)) add(std::make_shared<exporters::console_logs>());
  if (c.of(signal::metrics).exports_to(exporter_kind::console)) add(std::make_shared<exporters::console_metrics>());
  if (c.span_metrics) made.push_back(std::make_shared<span_metrics>());
  for (const auto& e : c.exporters) add(e);
  return made;
}

[[nodiscard]] inline std::shared_ptr<pipeline> make_pipeline(const configuration& c, bool in_forked_child) {
  pipeline_options o;
  for (std::size_t i = 0; i < signal_count; ++i) {
    const signal_configuration& from = c.signals[i];
    const bool metrics = static_cast<signal>(i) == signal::metrics;
    o.signals[i] = {.on = true,
                    .delay = from.schedule_delay,
                    .export_timeout = from.export_timeout,
                    .max_queue = metrics ? std::size_t{1} << 20 : from.max_queue_size,
                    .max_batch = metrics ? c.max_metric_batch_size : from.max_export_batch_size};
  }
  const resource& described = c.resource;
  o.resource = std::make_shared<const std::string>(
      encode(in_forked_child ? after_fork(described, c.generated_instance_id) : described));
  std::shared_ptr<self_metrics> self;
  if (c.self_metrics) {
    self = std::make_shared<self_metrics>(c.of(signal::traces).max_queue_size, c.of(signal::logs).max_queue_size);
  }
  metric_plan::use(c.views, c.histogram_aggregation, c.aggregations);
  use_exemplars(c.exemplar_filter);
  const metric_reader_options reads{
      .cardinality_limit = c.cardinality_limit, .producers = c.producers, .filter = c.filter};
  const auto pushes = [](exporter_kind kind) { return kind != exporter_kind::prometheus; };
  if (std::ranges::any_of(c.of(signal::metrics).exporters, pushes) || !c.exporters.empty()) {
    metric_reader_options how = reads;
    how.temporality = c.temporality;
    how.max_points = c.max_metric_batch_size;
    const auto reader = std::make_shared<metric_reader>(std::move(how));
    o.collect_metrics = [reader, self](unix_ns now) {
      const auto collect = [&] { return reader->collect(now); };
      if (self == nullptr) return collect();
      return self->around("periodic_metric_reader", collect, [&] { return reader->complete(); });
    };
  }
  o.span_processors = c.span_processors;
  o.log_processors = c.log_processors;
  std::shared_ptr<metric_pull> pull;
  if (c.of(signal::metrics).exports_to(exporter_kind::prometheus))
    pull = std::make_shared<metric_pull>(o.resource, reads);
  o.make_exporters = [&c, pull, self, in_forked_child](boost::asio::io_context& io) {
    auto made = make_exporters(c, io);
    if (pull == nullptr) return made;
    auto collect = [pull, self] {
      if (self == nullptr) return pull->collect();
      return self->around(
          "prometheus_http_text_metric_exporter", [&] { return pull->collect(); }, [&] { return pull->complete(); });
    };
    if (auto e = make_prometheus(c, io, std::move(collect), !in_forked_child)) made.push_back(std::move(e));
    return made;
  };
  auto& runtime = otlpkit::detail::global_runtime;
  runtime.spans.wake_items.store(c.of(signal::traces).max_export_batch_size, platform::relaxed);
  runtime.logs.wake_items.store(c.of(signal::logs).max_export_batch_size, platform::relaxed);
  auto made = std::make_shared<pipeline>(std::move(o));
  if (self != nullptr) {
    self->watch([p = std::weak_ptr{made}] {
      const auto alive = p.lock();
      return alive == nullptr ? books{} : alive->read_books();
    });
  }
  return made;
}

/// Keeps an object for ever: a thread may be using it when telemetry ends. Under the lock of active_pipeline.
template <class T>
[[nodiscard]] T* keep(std::shared_ptr<T> object) {
  static auto* const kept = new std::vector<std::shared_ptr<T>>;  // never destroyed, and in sight of leak checkers
  return kept->emplace_back(std::move(object)).get();
}

/// The sampler to ask; nullptr stands for always_on.
[[nodiscard]] inline otlpkit::sampler* lasting_sampler(const configuration& c) {
  switch (c.sampler) {
    case sampler_kind::always_on:
    case sampler_kind::parentbased_always_on: return nullptr;
    case sampler_kind::always_off:
    case sampler_kind::parentbased_always_off: return keep<otlpkit::sampler>(std::make_shared<always_off_sampler>());
    case sampler_kind::traceidratio:
    case sampler_kind::parentbased_traceidratio:
      return keep<otlpkit::sampler>(std::make_shared<trace_id_ratio_sampler>(c.sampler_ratio));
    case sampler_kind::custom: break;
  }
  return keep(c.custom_sampler);
}

[[nodiscard]] inline bool follows_parent(sampler_kind kind) noexcept {
  return kind == sampler_kind::parentbased_always_on || kind == sampler_kind::parentbased_always_off ||
         kind == sampler_kind::parentbased_traceidratio;
}

[[nodiscard]] inline propagators chosen_propagators(const configuration& c) noexcept {
  propagators out;
  for (const propagator_kind kind : c.propagators) {
    switch (kind) {
      case propagator_kind::tracecontext: out.add(propagator::tracecontext); break;
      case propagator_kind::baggage: out.add(propagator::baggage); break;
      case propagator_kind::b3: out.add(propagator::b3); break;
      case propagator_kind::b3multi: out.add(propagator::b3multi); break;
      case propagator_kind::jaeger: out.add(propagator::jaeger); break;
    }
  }
  return out;
}

/// The bits of runtime::mode that say which log records are kept.
[[nodiscard]] inline std::uint32_t log_mode(const log_record_configuration& c) noexcept {
  severity least = c.level;
  for (const auto& [scope, level] : c.scopes) least = std::min(least, level);
  std::uint32_t mode = static_cast<std::uint32_t>(least) << otlpkit::detail::log_level_shift;
  if (!c.scopes.empty()) mode |= otlpkit::detail::mode_log_scopes;
  if (c.span_events) mode |= otlpkit::detail::mode_log_events;
  return mode;
}

/// Puts into the runtime what instrumented code reads.
inline void prepare_runtime(const configuration& c) {
  set_propagators(chosen_propagators(c));
  otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
  const span_limit_configuration& l = c.span_limits;
  r.span_attributes = {.count = l.attribute_count, .value_length = l.attribute_value_length};
  r.event_attributes = {.count = l.event_attribute_count, .value_length = l.attribute_value_length};
  r.link_attributes = {.count = l.link_attribute_count, .value_length = l.attribute_value_length};
  r.log_attributes = {.count = c.log_limits.attribute_count, .value_length = c.log_limits.attribute_value_length};
  otlpkit::detail::global_log_levels.reset();
  set_log_level(c.log_records.level);
  for (const auto& [scope, level] : c.log_records.scopes) static_cast<void>(set_log_level(scope, level));
  r.keep_unsampled.store(!c.span_processors.empty(), platform::relaxed);
  r.max_events = l.event_count;
  r.max_links = l.link_count;
  r.spans.max_items.store(c.of(signal::traces).max_queue_size, platform::relaxed);
  r.logs.max_items.store(c.of(signal::logs).max_queue_size, platform::relaxed);
  r.spans.max_bytes.store(c.max_queue_bytes, platform::relaxed);
  r.logs.max_bytes.store(c.max_queue_bytes, platform::relaxed);
  r.sampler.store(lasting_sampler(c), platform::release);
  r.ids.store(c.id_generator == nullptr ? nullptr : keep(c.id_generator), platform::release);
  r.clock.calibrate();
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk::detail
