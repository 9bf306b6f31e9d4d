// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/environment_table.hpp>
#include <otlpkit/core/resource.hpp>
#include <otlpkit/log/severity.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/settings.hpp>
#include <otlpkit/sdk/url.hpp>
#include <otlpkit/version.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// The exporters a list may name.
enum class exporter_kind : std::uint8_t { otlp, console, prometheus };
inline constexpr std::string_view exporter_names[] = {"otlp", "console", "prometheus"};

/// The samplers OTEL_TRACES_SAMPLER may name, in the order of sampler_names.
enum class sampler_kind : std::uint8_t {
  always_on,
  always_off,
  traceidratio,
  parentbased_always_on,
  parentbased_always_off,
  parentbased_traceidratio,
  custom,
};
inline constexpr std::string_view sampler_names[] = {"always_on",
                                                     "always_off",
                                                     "traceidratio",
                                                     "parentbased_always_on",
                                                     "parentbased_always_off",
                                                     "parentbased_traceidratio"};

/// The propagators OTEL_PROPAGATORS may name, in the order of propagator_names.
enum class propagator_kind : std::uint8_t { tracecontext, baggage, b3, b3multi, jaeger };
inline constexpr std::string_view propagator_names[] = {"tracecontext", "baggage", "b3", "b3multi", "jaeger"};

/// Where a value comes from.
struct origin {
  enum class source : std::uint8_t { fallback, environment, code };
  source from = source::fallback;
  variable name{};  ///< the variable, when from the environment

  /// "default", "code" or the variable's name.
  [[nodiscard]] constexpr std::string_view text() const noexcept {
    return from == source::environment ? info(name).name : from == source::code ? "code" : "default";
  }
};

/// One setting as the banner prints it.
struct described_setting {
  std::string name;   ///< as in `settings`, like "traces.endpoint"
  std::string value;  ///< secrets hidden
  origin from;
};

/// Stands for "no limit" where a number is compared against: an attribute value longer than this cannot exist.
inline constexpr std::uint32_t unlimited = 0xFFFF'FFFF;

/// Stands for "no limit" in timeouts: long, yet short enough to add to any clock.
inline constexpr std::chrono::milliseconds no_time_limit = std::chrono::hours{24 * 365};

/// Everything about one signal.
struct signal_configuration {
  exporters::url endpoint;              ///< what requests of this signal are posted to
  header_list headers;                  ///< names in lower case, each once
  std::chrono::milliseconds timeout{};  ///< of one batch over OTLP, retries included
  otlpkit::compression compression = otlpkit::compression::none;
  std::string certificate, client_key, client_certificate;  ///< paths, "" when not given
  bool insecure = false;                                    ///< OTEL_EXPORTER_OTLP_INSECURE: means nothing over HTTP
  std::vector<exporter_kind> exporters;                     ///< each once
  std::chrono::milliseconds schedule_delay{};               ///< for metrics the export interval
  std::chrono::milliseconds export_timeout{};               ///< of one batch by any exporter
  std::uint32_t max_queue_size = 0;                         ///< 0 for metrics, which have no queue
  std::uint32_t max_export_batch_size = 0;                  ///< at most max_queue_size, above zero; 0 for metrics

  [[nodiscard]] bool exports_to(exporter_kind kind) const noexcept {
    return std::ranges::find(exporters, kind) != exporters.end();
  }
};

/// Span limits as plain numbers; `unlimited` where there is none.
struct span_limit_configuration {
  std::uint32_t attribute_count = 128;
  std::uint32_t attribute_value_length = unlimited;
  std::uint32_t event_count = 128;
  std::uint32_t link_count = 128;
  std::uint32_t event_attribute_count = 128;
  std::uint32_t link_attribute_count = 128;
};

/// Log record limits as plain numbers; `unlimited` where there is none.
struct log_limit_configuration {
  std::uint32_t attribute_count = 128;
  std::uint32_t attribute_value_length = unlimited;
};

/// Which log records are kept.
struct log_record_configuration {
  severity level = severity::trace;
  std::vector<std::pair<std::string, severity>> scopes;  ///< names, or beginnings that end in an asterisk
  bool span_events = false;                              ///< mirrored as events of their span
};

/// `settings` with every question answered: what was said in code, else in the environment, else the default. Made by
/// finalize(); the SDK is built from this alone.
struct configuration {
  bool disabled = false;
  otlpkit::resource resource;
  bool generated_instance_id = false;  ///< service.instance.id is this library's own: a forked child gets another
  std::array<signal_configuration, signal_count> signals;

  temporality_preference temporality{};
  otlpkit::histogram_aggregation histogram_aggregation{};
  otlpkit::exemplar_filter exemplar_filter{};
  std::vector<metric_view> views;
  std::vector<std::pair<instrument_kind, aggregation>> aggregations;
  std::uint32_t cardinality_limit = 2000;
  std::uint32_t max_metric_batch_size = unlimited;  ///< data points in one request
  std::vector<std::shared_ptr<metric_producer>> producers;
  std::shared_ptr<metric_filter> filter;
  bool span_metrics = false;

  sampler_kind sampler = sampler_kind::parentbased_always_on;
  double sampler_ratio = 1;                             ///< for the samplers by ratio
  std::shared_ptr<otlpkit::sampler> custom_sampler;     ///< set when `sampler` is custom
  std::shared_ptr<otlpkit::id_generator> id_generator;  ///< null: random ids
  span_limit_configuration span_limits;
  log_limit_configuration log_limits;
  log_record_configuration log_records;
  std::vector<propagator_kind> propagators;

  std::vector<std::shared_ptr<exporter>> exporters;  ///< the user's own
  std::vector<std::shared_ptr<span_processor>> span_processors;
  std::vector<std::shared_ptr<log_processor>> log_processors;
  std::size_t max_queue_bytes = 0;
  std::chrono::milliseconds shutdown_timeout{};
  std::string prometheus_host;
  std::uint16_t prometheus_port = 0;
  prometheus_translation translation{};
  bool prometheus_scope_labels = true;
  bool prometheus_target_info = true;
  std::vector<std::string> prometheus_resource_labels;
  bool self_metrics = false;
  bool books = false;
  diagnostic_callback diagnostics = nullptr;
  /// Least level of otlpkit's own messages; nothing when there shall be none.
  std::optional<diagnostic_level> log_level = diagnostic_level::info;

  std::vector<described_setting> described;  ///< every setting in a fixed order
  std::vector<std::string> warnings;         ///< what was wrong in the environment, to be reported once

  [[nodiscard]] const signal_configuration& of(signal s) const noexcept { return signals[static_cast<std::size_t>(s)]; }

  /// Where a setting comes from; default for a name nobody knows.
  [[nodiscard]] origin origin_of(std::string_view name) const noexcept {
    const auto found = std::ranges::find(described, name, &described_setting::name);
    return found == described.end() ? origin{} : found->from;
  }
};

/// Every setting on a line of its own, `name = value (origin)`; secrets hidden.
[[nodiscard]] inline std::string describe(const configuration& c) {
  std::string out;
  for (const described_setting& s : c.described) {
    out.append(s.name).append(" = ").append(s.value).append(" (").append(s.from.text()).append(")\n");
  }
  return out;
}

/// One line for the start of a program: the library, the service, where each signal goes, and every other setting that
/// is not the default, each with its origin; secrets hidden.
[[nodiscard]] inline std::string banner(const configuration& c) {
  if (c.disabled) {
    return "otlpkit " OTLPKIT_VERSION ": disabled (" + std::string{c.origin_of("disabled").text()} + ")";
  }
  std::string out = "otlpkit " OTLPKIT_VERSION ":";
  std::string_view separator = " ";
  for (const described_setting& s : c.described) {
    bool destination = s.name == "service" || s.name.ends_with(".exporters");
    for (std::size_t i = 0; i < signal_count; ++i) {
      const bool endpoint = s.name == std::string{to_string(static_cast<signal>(i))} + ".endpoint";
      if (endpoint && c.signals[i].exports_to(exporter_kind::otlp)) destination = true;
    }
    if (!destination && s.from.from == origin::source::fallback) continue;
    out.append(separator).append(s.name).append("=").append(s.value).append(" (").append(s.from.text()).append(")");
    separator = ", ";
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
