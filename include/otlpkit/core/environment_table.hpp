// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

// The one table of environment variables: X(id, name, type, default, meaning). Parsing, the documentation and the
// start-up banner come from it. Names, types and defaults are those of the OpenTelemetry specification
// (configuration/sdk-environment-variables, protocol/exporter); OTLPKIT_* are this library's own.

// Each OTLP exporter variable exists four times: general, then traces, metrics and logs, in the order of sdk::signal.
#define OTLPKIT_OTLP_VARIABLE(X, id, suffix, type, default_text, meaning) \
  X(otlp_##id, "OTEL_EXPORTER_OTLP_" suffix, type, default_text, meaning) \
  X(otlp_traces_##id, "OTEL_EXPORTER_OTLP_TRACES_" suffix, type, "",      \
    "the same for traces, instead of the general one")                    \
  X(otlp_metrics_##id, "OTEL_EXPORTER_OTLP_METRICS_" suffix, type, "",    \
    "the same for metrics, instead of the general one")                   \
  X(otlp_logs_##id, "OTEL_EXPORTER_OTLP_LOGS_" suffix, type, "", "the same for logs, instead of the general one")

#define OTLPKIT_ENVIRONMENT(X)                                                                                       \
  X(sdk_disabled, "OTEL_SDK_DISABLED", boolean, "false", "nothing is recorded or exported; propagation goes on")     \
  X(service_name, "OTEL_SERVICE_NAME", text, "unknown_service:EXECUTABLE",                                           \
    "service.name; wins over OTEL_RESOURCE_ATTRIBUTES")                                                              \
  X(resource_attributes, "OTEL_RESOURCE_ATTRIBUTES", key_values, "",                                                 \
    "resource attributes, `k1=v1,k2=v2`, percent-encoded; one error discards all")                                   \
  X(log_level, "OTEL_LOG_LEVEL", choice, "info",                                                                     \
    "least level of otlpkit's own messages: `trace`, `debug`, `info`, `warn`, `error`, `fatal`, `none`")             \
  X(propagators, "OTEL_PROPAGATORS", list, "tracecontext,baggage",                                                   \
    "`tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `none`")                                                  \
  X(traces_sampler, "OTEL_TRACES_SAMPLER", choice, "parentbased_always_on",                                          \
    "`always_on`, `always_off`, `traceidratio`, or one of these after `parentbased_`")                               \
  X(traces_sampler_arg, "OTEL_TRACES_SAMPLER_ARG", ratio, "1.0", "0 to 1, for the samplers by ratio")                \
  X(config_file, "OTEL_CONFIG_FILE", file, "", "not supported: one warning, and the other variables count as usual") \
  X(traces_exporter, "OTEL_TRACES_EXPORTER", list, "otlp", "`otlp`, `console`, `none`")                              \
  X(metrics_exporter, "OTEL_METRICS_EXPORTER", list, "otlp", "`otlp`, `prometheus`, `console`, `none`")              \
  X(logs_exporter, "OTEL_LOGS_EXPORTER", list, "otlp", "`otlp`, `console`, `none`")                                  \
  X(bsp_schedule_delay, "OTEL_BSP_SCHEDULE_DELAY", duration, "5000",                                                 \
    "longest wait of a finished span before its export")                                                             \
  X(bsp_export_timeout, "OTEL_BSP_EXPORT_TIMEOUT", timeout, "30000",                                                 \
    "longest export of a batch of spans by any exporter")                                                            \
  X(bsp_max_queue_size, "OTEL_BSP_MAX_QUEUE_SIZE", integer, "2048",                                                  \
    "spans that may wait; what comes beyond is dropped")                                                             \
  X(bsp_max_export_batch_size, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", integer, "512",                                     \
    "spans in one request, at most the queue")                                                                       \
  X(blrp_schedule_delay, "OTEL_BLRP_SCHEDULE_DELAY", duration, "1000",                                               \
    "longest wait of a log record before its export")                                                                \
  X(blrp_export_timeout, "OTEL_BLRP_EXPORT_TIMEOUT", timeout, "30000",                                               \
    "longest export of a batch of log records by any exporter")                                                      \
  X(blrp_max_queue_size, "OTEL_BLRP_MAX_QUEUE_SIZE", integer, "2048", "log records that may wait")                   \
  X(blrp_max_export_batch_size, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", integer, "512", "log records in one request")     \
  X(attribute_value_length_limit, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", integer, "",                                  \
    "characters of a string value that are kept; unset: all")                                                        \
  X(attribute_count_limit, "OTEL_ATTRIBUTE_COUNT_LIMIT", integer, "128", "attributes on a span or log record")       \
  X(span_attribute_value_length_limit, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", integer, "",                        \
    "the same for spans, instead of the general one")                                                                \
  X(span_attribute_count_limit, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", integer, "128",                                   \
    "the same for spans, instead of the general one")                                                                \
  X(span_event_count_limit, "OTEL_SPAN_EVENT_COUNT_LIMIT", integer, "128", "events on a span")                       \
  X(span_link_count_limit, "OTEL_SPAN_LINK_COUNT_LIMIT", integer, "128", "links on a span")                          \
  X(event_attribute_count_limit, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", integer, "128", "attributes on a span event")   \
  X(link_attribute_count_limit, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", integer, "128", "attributes on a span link")      \
  X(log_attribute_value_length_limit, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", integer, "",                    \
    "as above for log records, instead of the general one")                                                          \
  X(log_attribute_count_limit, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", integer, "128",                               \
    "as above for log records, instead of the general one")                                                          \
  OTLPKIT_OTLP_VARIABLE(                                                                                             \
      X, endpoint, "ENDPOINT", url, "http://localhost:4318",                                                         \
      "base URL: `v1/traces`, `v1/metrics`, `v1/logs` is appended; the signal's own is used as it is")               \
  OTLPKIT_OTLP_VARIABLE(X, protocol, "PROTOCOL", choice, "http/protobuf",                                            \
                        "`http/protobuf`; `grpc` and `http/json` are not built in: one warning, then http/protobuf") \
  OTLPKIT_OTLP_VARIABLE(X, headers, "HEADERS", secret_key_values, "",                                                \
                        "request headers, `k1=v1,k2=v2`, values percent-encoded")                                    \
  OTLPKIT_OTLP_VARIABLE(X, timeout, "TIMEOUT", timeout, "10000",                                                     \
                        "longest export of a batch over OTLP, retries included")                                     \
  OTLPKIT_OTLP_VARIABLE(X, compression, "COMPRESSION", choice, "none", "`none`, `gzip`")                             \
  OTLPKIT_OTLP_VARIABLE(X, certificate, "CERTIFICATE", file, "",                                                     \
                        "PEM file with the authorities the server is trusted by")                                    \
  OTLPKIT_OTLP_VARIABLE(X, client_key, "CLIENT_KEY", file, "", "PEM file with the private key for mTLS")             \
  OTLPKIT_OTLP_VARIABLE(X, client_certificate, "CLIENT_CERTIFICATE", file, "",                                       \
                        "PEM file with the certificate for mTLS")                                                    \
  OTLPKIT_OTLP_VARIABLE(X, insecure, "INSECURE", boolean, "false",                                                   \
                        "for gRPC only: over HTTP the scheme of the URL decides")                                    \
  X(metrics_temporality, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", choice, "cumulative",                  \
    "`cumulative`, `delta`, `lowmemory`")                                                                            \
  X(metrics_histogram, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", choice,                           \
    "explicit_bucket_histogram", "or `base2_exponential_bucket_histogram`")                                          \
  X(metric_export_interval, "OTEL_METRIC_EXPORT_INTERVAL", duration, "60000",                                        \
    "between the starts of two exports; 10000 where the console is the only exporter")                               \
  X(metric_export_timeout, "OTEL_METRIC_EXPORT_TIMEOUT", timeout, "30000",                                           \
    "longest export of metrics by any exporter")                                                                     \
  X(metrics_exemplar_filter, "OTEL_METRICS_EXEMPLAR_FILTER", choice, "trace_based",                                  \
    "`always_on`, `always_off`, `trace_based`")                                                                      \
  X(prometheus_host, "OTEL_EXPORTER_PROMETHEUS_HOST", text, "localhost", "address a Prometheus exporter listens on") \
  X(prometheus_port, "OTEL_EXPORTER_PROMETHEUS_PORT", integer, "9464", "port a Prometheus exporter listens on")      \
  X(prometheus_translation, "OTLPKIT_PROMETHEUS_TRANSLATION", choice, "underscore_escaping_with_suffixes",           \
    "or `underscore_escaping_without_suffixes`, `no_utf8_escaping_with_suffixes`, `no_translation`")                 \
  X(prometheus_scope_labels, "OTLPKIT_PROMETHEUS_SCOPE_LABELS", flag, "true", "`false`: no labels `otel_scope_...`") \
  X(prometheus_target_info, "OTLPKIT_PROMETHEUS_TARGET_INFO", flag, "true", "`false`: no metric `target_info`")      \
  X(span_metrics, "OTLPKIT_SPAN_METRICS", flag, "false", "`1` or `true`: spans are counted and timed by name")       \
  X(http_known_methods, "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", list,                                             \
    "GET,HEAD,POST,PUT,DELETE,CONNECT,OPTIONS,TRACE,PATCH,QUERY",                                                    \
    "methods by which spans and metrics are named, by case; every other one is `_OTHER`")                            \
  X(log_record_level, "OTLPKIT_LOG_LEVEL", levels, "trace",                                                          \
    "least severity of log records: `trace`, `debug`, `info`, `warn`, `error`, `fatal`, `off`; for some scopes "     \
    "`NAME=LEVEL` or `BEGINNING*=LEVEL`")                                                                            \
  X(log_span_events, "OTLPKIT_LOG_SPAN_EVENTS", flag, "false",                                                       \
    "`1` or `true`: log records are events of their span too")                                                       \
  X(self_metrics, "OTLPKIT_SELF_METRICS", flag, "false", "`1` or `true`: otlpkit measures itself (`otel.sdk.*`)")    \
  X(books, "OTLPKIT_BOOKS", flag, "false", "`1` or `true`: one line of counts to standard error as telemetry ends")

namespace otlpkit::inline OTLPKIT_ABI {

/// How the value of a variable is read (specification, configuration/common).
enum class variable_type : std::uint8_t {
  boolean,            ///< true only for "true" in any case
  flag,               ///< as boolean, and "1" too: for this library's own switches
  integer,            ///< 0 to 2^31-1
  duration,           ///< whole milliseconds
  timeout,            ///< whole milliseconds, 0: no limit
  ratio,              ///< a number from 0 to 1
  text,               ///< as it is
  choice,             ///< one of several words, in any case
  list,               ///< words, separated by commas
  levels,             ///< severities, alone or as scope=severity
  key_values,         ///< k1=v1,k2=v2
  secret_key_values,  ///< the same, and no value is ever printed
  url,                ///< an http or https URL
  file,               ///< a path
};

/// What documentation calls a type.
[[nodiscard]] constexpr std::string_view to_string(variable_type type) noexcept {
  constexpr std::string_view names[] = {
      "boolean", "boolean", "integer",        "milliseconds", "milliseconds, 0: no limit", "number", "text",
      "word",    "list",    "list of levels", "list of k=v",  "list of k=v, secret",       "URL",    "file"};
  return names[static_cast<std::size_t>(type)];
}

/// Every variable otlpkit reads. The numbers index environment_table.
enum class variable : std::uint8_t {
#define OTLPKIT_VARIABLE_ID(id, name, type, default_text, meaning) id,
  OTLPKIT_ENVIRONMENT(OTLPKIT_VARIABLE_ID)
#undef OTLPKIT_VARIABLE_ID
};

/// One row of the table. All texts are literals and end in NUL.
struct variable_info {
  std::string_view name;
  variable_type type;
  std::string_view default_text;  ///< empty: there is none, or the general variable is next
  std::string_view meaning;
};

inline constexpr variable_info environment_table[] = {
#define OTLPKIT_VARIABLE_ROW(id, name, type, default_text, meaning) {name, variable_type::type, default_text, meaning},
    OTLPKIT_ENVIRONMENT(OTLPKIT_VARIABLE_ROW)
#undef OTLPKIT_VARIABLE_ROW
};

[[nodiscard]] constexpr const variable_info& info(variable v) noexcept {
  return environment_table[static_cast<std::size_t>(v)];
}

/// The signal's own form of a general OTLP exporter variable.
/// \param signal 0 traces, 1 metrics, 2 logs, as in sdk::signal
[[nodiscard]] constexpr variable of_signal(variable general, std::size_t signal) noexcept {
  return static_cast<variable>(static_cast<std::size_t>(general) + 1 + signal);
}

/// The default of a numeric variable, as the table states it.
[[nodiscard]] constexpr std::int64_t default_number(variable v) noexcept {
  std::int64_t number = 0;
  for (const char c : info(v).default_text) number = number * 10 + (c - '0');
  return number;
}

}  // namespace otlpkit::inline OTLPKIT_ABI

#undef OTLPKIT_OTLP_VARIABLE
#undef OTLPKIT_ENVIRONMENT
