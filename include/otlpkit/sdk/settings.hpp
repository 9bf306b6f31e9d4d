// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/resource.hpp>
#include <otlpkit/log/severity.hpp>
#include <otlpkit/sdk/compression.hpp>
#include <otlpkit/sdk/metric_view.hpp>
#include <otlpkit/sdk/translation.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI {

class sampler;
class id_generator;

namespace sdk {
class exporter;
class log_processor;
class metric_filter;
class metric_producer;
class span_processor;
}  // namespace sdk

/// Which temporality metrics are exported with (OTLP metrics exporter specification).
enum class temporality_preference : std::uint8_t { cumulative, delta, lowmemory };

/// What a histogram without a view becomes.
enum class histogram_aggregation : std::uint8_t { explicit_bucket_histogram, base2_exponential_bucket_histogram };

/// Which measurements may become exemplars.
enum class exemplar_filter : std::uint8_t { always_on, always_off, trace_based };

/// When traces are printed as a tree.
enum class console_mode : std::uint8_t {
  automatic,  ///< where a list of exporters names it: OTEL_TRACES_EXPORTER=console
  on,         ///< where no list says otherwise: alone when no endpoint is given either, else next to OTLP
  off,        ///< never, even where a list names it
};

/// HTTP headers of an export request. Values are never printed.
using header_list = std::vector<std::pair<std::string, std::string>>;

/// Which spans are recorded: a sampler by the name OTEL_TRACES_SAMPLER knows, or your own.
struct sampler_settings {
  std::string name{};  ///< always_on, always_off, traceidratio, or one of these after "parentbased_"
  std::optional<double>
      ratio{};  ///< 0 to 1, for the samplers by ratio, 1 when not given; without a name: parentbased_traceidratio
  std::shared_ptr<otlpkit::sampler> custom{};  ///< wins over the name
};

/// Where and how traces, or logs, are sent. What is empty follows the signal's variable, then the general setting.
struct signal_settings {
  std::string endpoint{};                              ///< full URL, used as it is: nothing is appended
  std::string protocol{};                              ///< as settings::protocol
  std::optional<header_list> headers{};                ///< instead of the general ones, not in addition
  std::optional<std::chrono::milliseconds> timeout{};  ///< as settings::timeout, and so on
  std::optional<otlpkit::compression> compression{};
  std::string certificate{};
  std::string client_key{};
  std::string client_certificate{};
  std::optional<std::vector<std::string>> exporters{};        ///< of "otlp", "console"; an empty list means none
  std::optional<std::chrono::milliseconds> schedule_delay{};  ///< longest wait of an item; 5 s for traces, 1 s for logs
  std::optional<std::chrono::milliseconds>
      export_timeout{};                           ///< longest export of a batch by any exporter, 30 s; 0: no limit
  std::optional<std::uint32_t> max_queue_size{};  ///< items that may wait, 2048
  std::optional<std::uint32_t> max_export_batch_size{};  ///< items in one request, 512, at most max_queue_size
};

/// Where and how metrics are sent.
struct metric_settings {
  std::string endpoint{};                              ///< full URL, used as it is: nothing is appended
  std::string protocol{};                              ///< as settings::protocol
  std::optional<header_list> headers{};                ///< instead of the general ones, not in addition
  std::optional<std::chrono::milliseconds> timeout{};  ///< as settings::timeout, and so on
  std::optional<otlpkit::compression> compression{};
  std::string certificate{};
  std::string client_key{};
  std::string client_certificate{};
  std::optional<std::vector<std::string>> exporters{};  ///< of "otlp", "console", "prometheus"; an empty list: none
  std::optional<std::chrono::milliseconds> interval{};  ///< between the starts of two exports, 60 s
  std::optional<std::chrono::milliseconds> export_timeout{};  ///< longest export by any exporter, 30 s; 0: no limit
  std::optional<temporality_preference> temporality{};        ///< cumulative
  std::optional<otlpkit::histogram_aggregation> histogram_aggregation{};  ///< explicit buckets
  std::optional<otlpkit::exemplar_filter> exemplar_filter{};              ///< trace_based
  /// What instruments of a kind become where no view says; the sum of a histogram, say. Kinds not listed: their
  /// default.
  std::vector<std::pair<instrument_kind, aggregation>> aggregations{};
  std::optional<std::uint32_t> cardinality_limit{};      ///< label sets of an instrument, 2,000; a view's own wins
  std::optional<std::uint32_t> max_export_batch_size{};  ///< data points in one request, no limit
  /// Metrics of other libraries, joined to every collection, and to what Prometheus is served.
  std::vector<std::shared_ptr<sdk::metric_producer>> producers{};
  std::shared_ptr<sdk::metric_filter> filter{};  ///< which metrics are collected at all; all
};

/// Where metrics are served, for exporters that name "prometheus".
struct prometheus_settings {
  std::string host{};                   ///< an address or name of this machine, "localhost"
  std::optional<std::uint16_t> port{};  ///< 9464; 0: one the system chooses, see telemetry::prometheus_port()
  std::optional<prometheus_translation> translation{};  ///< underscore_escaping_with_suffixes
  std::optional<bool> scope_labels{};                   ///< otel_scope_name and so on, on every series: yes
  std::optional<bool> target_info{};                    ///< the resource as the metric target_info: yes
  std::vector<std::string> resource_labels{};  ///< attributes of the resource on every series, by key; "*": all
};

/// How much of a span is kept. What goes beyond is counted as dropped.
struct span_limit_settings {
  std::optional<std::uint32_t> attribute_count{};         ///< 128
  std::optional<std::uint32_t> attribute_value_length{};  ///< characters of a string, bytes of a byte array; no limit
  std::optional<std::uint32_t> event_count{};             ///< 128
  std::optional<std::uint32_t> link_count{};              ///< 128
  std::optional<std::uint32_t> event_attribute_count{};   ///< 128, for each event
  std::optional<std::uint32_t> link_attribute_count{};    ///< 128, for each link
};

/// How much of a log record is kept.
struct log_limit_settings {
  std::optional<std::uint32_t> attribute_count{};         ///< 128
  std::optional<std::uint32_t> attribute_value_length{};  ///< no limit
};

/// Which log records are kept.
struct log_record_settings {
  std::optional<severity> level{};  ///< the least severity, trace: all that are compiled; OTLPKIT_LOG_LEVEL
  /// Instrumentation scopes with a level of their own, by name, or by a beginning that ends in an asterisk.
  std::vector<std::pair<std::string, severity>> scopes{};
  std::optional<bool> span_events{};  ///< each is an event of its span too; OTLPKIT_LOG_SPAN_EVENTS
};

/// What `telemetry` is made from. Every member may stay as it is: then the OTEL_* variable decides, then the default.
///
///     otlpkit::telemetry telemetry{{.service = "checkout", .endpoint = "http://collector:4318"}};
///
/// What is said here wins over the environment. A value that cannot be used throws config_error when telemetry is made.
struct settings {
  std::string service{};            ///< service.name; OTEL_SERVICE_NAME, else "unknown_service:PROGRAM"
  std::string service_version{};    ///< service.version
  std::string service_namespace{};  ///< service.namespace
  std::vector<resource_attribute> resource_attributes{};  ///< win over detected ones and OTEL_RESOURCE_ATTRIBUTES
  bool detect_resource = true;                            ///< add process.*, host.* and os.*
  std::optional<bool> disabled{};                         ///< no telemetry at all; context still propagates

  std::string endpoint{};  ///< base URL, v1/traces and so on is appended; http://localhost:4318
  std::string protocol{};  ///< "http/protobuf"; "grpc" and "http/json" are not built in: a warning, then http/protobuf
  std::optional<header_list> headers{};
  std::optional<std::chrono::milliseconds> timeout{};  ///< of one batch over OTLP, retries included, 10 s; 0: no limit
  std::optional<otlpkit::compression> compression{};   ///< none
  std::string certificate{};         ///< PEM file with the authorities that https servers are trusted by; the system's
  std::string client_key{};          ///< PEM file with the private key for mTLS
  std::string client_certificate{};  ///< PEM file with the certificate for mTLS

  signal_settings traces{};
  metric_settings metrics{};
  signal_settings logs{};
  prometheus_settings prometheus{};
  std::vector<metric_view> views{};    ///< change what is exported of instruments
  std::optional<bool> span_metrics{};  ///< count and time spans by name, as metrics; no; OTLPKIT_SPAN_METRICS
  console_mode console = console_mode::automatic;

  /// Your own, next to those the lists name. When no list and no endpoint is given anywhere, they are the only ones.
  std::vector<std::shared_ptr<sdk::exporter>> exporters{};

  /// What sees finished spans before they are exported, in this order.
  std::vector<std::shared_ptr<sdk::span_processor>> span_processors{};
  /// What sees log records before they are exported, in this order.
  std::vector<std::shared_ptr<sdk::log_processor>> log_processors{};

  std::size_t max_queue_bytes = std::size_t{8} << 20;  ///< memory for waiting items of each signal, 8 MiB
  std::chrono::milliseconds shutdown_timeout{5000};    ///< the destructor's deadline, all signals together

  sampler_settings sampler{};                             ///< parentbased_always_on
  std::shared_ptr<otlpkit::id_generator> id_generator{};  ///< random ids
  std::optional<std::uint32_t> attribute_count{};  ///< limit for spans and log records that state none of their own
  std::optional<std::uint32_t>
      attribute_value_length{};  ///< limit for spans and log records that state none of their own
  span_limit_settings span_limits{};
  log_limit_settings log_limits{};
  log_record_settings log_records{};
  std::optional<std::vector<std::string>> propagators{};  ///< "tracecontext", "baggage", "b3", "b3multi", "jaeger"

  std::optional<bool> self_metrics{};  ///< otlpkit measures itself (otel.sdk.*), no; OTLPKIT_SELF_METRICS
  std::optional<bool> books{};         ///< print one line of counts to standard error as telemetry ends; OTLPKIT_BOOKS
  diagnostic_callback diagnostics = nullptr;  ///< receives otlpkit's own messages; a line on standard error each
};

}  // namespace otlpkit::inline OTLPKIT_ABI
