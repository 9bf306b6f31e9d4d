// SPDX-License-Identifier: MIT
#pragma once

// What main() includes: the telemetry object, its settings and the exporters. It brings Boost.Asio and Beast;
// instrumented code includes otlpkit/otlpkit.hpp instead.

#include <otlpkit/otlpkit.hpp>

#ifdef OTLPKIT_DISABLE
#include <otlpkit/sdk/disabled.hpp>
#else

#include <otlpkit/export/console_tree.hpp>
#include <otlpkit/export/otlp_http.hpp>
#include <otlpkit/sdk/active_pipeline.hpp>
#include <otlpkit/sdk/finalize.hpp>
#include <otlpkit/sdk/metric_reader.hpp>
#include <otlpkit/sdk/pipeline.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI {

/// Switches telemetry on, for as long as it lives: one object in main().
///
///     int main() {
///       otlpkit::telemetry telemetry{{.service = "checkout"}};
///
/// Settings not given follow OTEL_* and then the defaults: OTLP over HTTP to localhost:4318. The destructor exports
/// what is left, for at most settings::shutdown_timeout; a program that ends by exit() gets the same. There may be one
/// at a time: a second one says so and does nothing. It can be shut down and made again. In a forked child telemetry
/// goes on with a thread and a service.instance.id of its own.
class telemetry {
 public:
  /// \throws config_error for a setting given in code that cannot be used. What is wrong in the environment is reported
  /// and
  ///   passed over.
  explicit telemetry(const settings& s = {}) : telemetry{s, otlpkit::environment{}} {}

  /// As above, with an environment of your own (tests).
  telemetry(const settings& s, const otlpkit::environment& env);

  telemetry(const telemetry&) = delete;
  telemetry& operator=(const telemetry&) = delete;
  ~telemetry() { shutdown(); }

  /// Exports everything that ended before the call. False when `timeout` passed first.
  bool flush(std::chrono::milliseconds timeout = std::chrono::seconds{5}) {
    const auto p = sdk::active_pipeline::get(generation_);
    return p == nullptr || p->flush(sdk::pipeline::clock::now() + timeout);
  }

  /// As the destructor. False when something was lost to the deadline. Later calls do nothing.
  bool shutdown() noexcept { return shutdown(config_.shutdown_timeout); }
  bool shutdown(std::chrono::milliseconds timeout) noexcept {
    return generation_ == 0 || sdk::active_pipeline::end(generation_, timeout);
  }

  /// What became of spans, metric points and log records so far; final after shutdown().
  [[nodiscard]] sdk::books books() const { return sdk::active_pipeline::read_books(generation_); }

  /// Every setting in force and where it comes from.
  [[nodiscard]] const sdk::configuration& configuration() const noexcept { return config_; }

 private:
  sdk::configuration config_;
  std::uint64_t generation_ = 0;  // 0: disabled, or another one lives
};

}  // namespace otlpkit::inline OTLPKIT_ABI

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

/// The exporters the configuration asks for. One that cannot be made for a reason in the environment is reported and
/// left out; a reason in code is thrown.
[[nodiscard]] inline std::vector<std::shared_ptr<exporter>> make_exporters(const configuration& c,
                                                                           boost::asio::io_context& io) {
  std::vector<std::shared_ptr<exporter>> made;
  for (std::size_t i = 0; i < signal_count; ++i) {
    const auto s = static_cast<signal>(i);
    if (!c.of(s).exports_to(exporter_kind::otlp)) continue;
    try {
      made.push_back(std::make_shared<exporters::otlp_http_exporter>(io, otlp_options(c, s)));
    } catch (const config_error& e) {
      const std::string prefix{to_string(s)};
      for (const char* setting : {".endpoint", ".certificate", ".client_key", ".client_certificate"}) {
        if (c.origin_of(prefix + setting).from == origin::source::code) throw;
      }
      report(diagnostic_level::error, prefix + " are not exported: " + e.what());
    }
  }
  if (c.of(signal::traces).exports_to(exporter_kind::console))
    made.push_back(std::make_shared<exporters::console_tree>());
  made.insert(made.end(), c.exporters.begin(), c.exporters.end());
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
                    .max_batch = metrics ? std::size_t{1} << 20 : from.max_export_batch_size};
  }
  const resource& described = c.resource;
  o.resource = std::make_shared<const std::string>(
      encode(in_forked_child ? after_fork(described, c.generated_instance_id) : described));
  if (!c.of(signal::metrics).exporters.empty() || !c.exporters.empty()) {
    const auto reader = std::make_shared<metric_reader>(metric_reader_options{.temporality = c.temporality});
    o.collect_metrics = [reader](unix_ns now) { return reader->collect(now); };
  }
  o.make_exporters = [&c](boost::asio::io_context& io) { return make_exporters(c, io); };
  auto& runtime = otlpkit::detail::global_runtime;
  runtime.spans.wake_items.store(c.of(signal::traces).max_export_batch_size, platform::relaxed);
  runtime.logs.wake_items.store(c.of(signal::logs).max_export_batch_size, platform::relaxed);
  return std::make_shared<pipeline>(std::move(o));
}

/// The sampler to ask; nullptr stands for always_on. A sampler is kept for ever: a thread may be asking it when
/// telemetry ends.
[[nodiscard]] inline otlpkit::sampler* lasting_sampler(const configuration& c) {
  switch (c.sampler) {
    case sampler_kind::always_on:
    case sampler_kind::parentbased_always_on: return nullptr;
    case sampler_kind::always_off:
    case sampler_kind::parentbased_always_off: return new always_off_sampler;
    case sampler_kind::traceidratio:
    case sampler_kind::parentbased_traceidratio: return new trace_id_ratio_sampler{c.sampler_ratio};
    case sampler_kind::custom: break;
  }
  return (new std::shared_ptr<otlpkit::sampler>(c.custom_sampler))->get();
}

[[nodiscard]] inline bool follows_parent(sampler_kind kind) noexcept {
  return kind == sampler_kind::parentbased_always_on || kind == sampler_kind::parentbased_always_off ||
         kind == sampler_kind::parentbased_traceidratio;
}

/// Puts into the runtime what instrumented code reads.
inline void prepare_runtime(const configuration& c) {
  otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
  const span_limit_configuration& l = c.span_limits;
  r.span_attributes = {.count = l.attribute_count, .value_length = l.attribute_value_length};
  r.event_attributes = {.count = l.event_attribute_count, .value_length = l.attribute_value_length};
  r.link_attributes = {.count = l.link_attribute_count, .value_length = l.attribute_value_length};
  r.log_attributes = {.count = c.log_limits.attribute_count, .value_length = c.log_limits.attribute_value_length};
  r.max_events = l.event_count;
  r.max_links = l.link_count;
  r.spans.max_items.store(c.of(signal::traces).max_queue_size, platform::relaxed);
  r.logs.max_items.store(c.of(signal::logs).max_queue_size, platform::relaxed);
  r.spans.max_bytes.store(c.max_queue_bytes, platform::relaxed);
  r.logs.max_bytes.store(c.max_queue_bytes, platform::relaxed);
  r.sampler.store(lasting_sampler(c), platform::release);
  r.ids.store(c.id_generator == nullptr ? nullptr : (new std::shared_ptr<otlpkit::id_generator>(c.id_generator))->get(),
              platform::release);
  r.clock.calibrate();
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk::detail

namespace otlpkit::inline OTLPKIT_ABI {

inline telemetry::telemetry(const settings& s, const otlpkit::environment& env) : config_{sdk::finalize(s, env)} {
  if (config_.diagnostics != nullptr || config_.origin_of("log_level").from != sdk::origin::source::fallback) {
    on_diagnostic(config_.diagnostics, config_.log_level.value_or(static_cast<diagnostic_level>(255)));
  }
  for (const std::string& warning : config_.warnings) report(diagnostic_level::warning, warning);
  if (config_.disabled) return;
  std::uint32_t mode = detail::mode_traces | detail::mode_logs | detail::mode_metrics;
  if (sdk::detail::follows_parent(config_.sampler)) mode |= detail::mode_parent_based;
  if (config_.id_generator != nullptr) mode |= detail::mode_custom_ids;
  const auto kept = std::make_shared<const sdk::configuration>(config_);
  generation_ = sdk::active_pipeline::begin([kept](bool forked) { return sdk::detail::make_pipeline(*kept, forked); },
                                            mode, config_.books, config_.shutdown_timeout,
                                            [&] { sdk::detail::prepare_runtime(config_); });
}

}  // namespace otlpkit::inline OTLPKIT_ABI

#endif
