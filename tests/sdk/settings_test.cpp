// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/finalize.hpp>

#include <support/finalized.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace otlpkit;
using namespace finalized;
using namespace std::chrono_literals;
using sdk::exporter_kind;

TEST_CASE("with nothing said everything has the default of the specification") {
  const sdk::configuration c = from({});
  CHECK(c.warnings.empty());
  CHECK_FALSE(c.disabled);
  CHECK(url(c, sdk::signal::traces) == "http://localhost:4318/v1/traces");
  CHECK(url(c, sdk::signal::metrics) == "http://localhost:4318/v1/metrics");
  CHECK(url(c, sdk::signal::logs) == "http://localhost:4318/v1/logs");
  CHECK(c.of(sdk::signal::traces).schedule_delay == 5000ms);
  CHECK(c.of(sdk::signal::logs).schedule_delay == 1000ms);
  CHECK(c.of(sdk::signal::metrics).schedule_delay == 60000ms);
  for (const auto& s : c.signals) {
    CHECK(s.exporters == std::vector{exporter_kind::otlp});
    CHECK(s.headers.empty());
    CHECK(s.timeout == 10s);
    CHECK(s.compression == compression::none);
    CHECK(s.export_timeout == 30s);
  }
  CHECK(c.of(sdk::signal::traces).max_queue_size == 2048);
  CHECK(c.of(sdk::signal::traces).max_export_batch_size == 512);
  CHECK(c.sampler == sdk::sampler_kind::parentbased_always_on);
  CHECK(c.span_limits.attribute_count == 128);
  CHECK(c.span_limits.attribute_value_length == sdk::unlimited);
  CHECK(c.log_limits.attribute_count == 128);
  CHECK(c.propagators == std::vector{sdk::propagator_kind::tracecontext, sdk::propagator_kind::baggage});
  CHECK(c.exemplar_filter == exemplar_filter::trace_based);
  CHECK(c.max_queue_bytes == 8u << 20);
  CHECK(c.shutdown_timeout == 5s);
  CHECK(c.prometheus_host == "localhost");
  CHECK(c.prometheus_port == 9464);
  CHECK_FALSE(c.books);
  for (const auto& d : c.described) CHECK(d.from.text() == "default");
}

TEST_CASE("code wins over the environment, and the environment over the default") {
  const environment env{{"OTEL_BSP_SCHEDULE_DELAY", "100"}, {"OTEL_BSP_MAX_QUEUE_SIZE", "1000"}};
  const sdk::configuration c = from({.traces = {.schedule_delay = 7ms}}, env);
  CHECK(c.of(sdk::signal::traces).schedule_delay == 7ms);
  CHECK(c.origin_of("traces.schedule_delay").text() == "code");
  CHECK(c.of(sdk::signal::traces).max_queue_size == 1000);
  CHECK(c.origin_of("traces.max_queue_size").text() == "OTEL_BSP_MAX_QUEUE_SIZE");
  CHECK(c.origin_of("traces.export_timeout").text() == "default");
}

TEST_CASE("a timeout of zero means no limit, and a negative one is refused or ignored") {
  CHECK(from({.timeout = 0ms}).of(sdk::signal::traces).timeout == sdk::no_time_limit);
  const environment env{
      {"OTEL_EXPORTER_OTLP_TIMEOUT", "0"}, {"OTEL_BSP_EXPORT_TIMEOUT", "-1"}, {"OTEL_METRIC_EXPORT_INTERVAL", "0"}};
  const sdk::configuration c = from({}, env);
  CHECK(c.of(sdk::signal::logs).timeout == sdk::no_time_limit);
  CHECK(c.of(sdk::signal::traces).export_timeout == 30s);
  CHECK(c.of(sdk::signal::metrics).schedule_delay == 60s);
  CHECK(c.warnings.size() == 2);
  CHECK(refusal({.timeout = -1ms}).setting() == "traces.timeout");
  CHECK(refusal({.metrics = {.interval = 0ms}}).setting() == "metrics.interval");
  CHECK(refusal({.shutdown_timeout = -1ms}).setting() == "shutdown_timeout");
}

TEST_CASE("a batch is never larger than the queue") {
  struct row {
    const char *queue, *batch;
    std::uint32_t queue_size, batch_size;
    std::size_t warnings;
  };
  const row rows[] = {{"100", "50", 100, 50, 0},      {"100", "100", 100, 100, 0}, {"100", "101", 100, 100, 1},
                      {"4096", "4097", 4096, 512, 1}, {"100", "", 100, 100, 0},    {"0", "0", 2048, 512, 2},
                      {"x", "2000", 2048, 2000, 1},   {"-3", "", 2048, 512, 1}};
  for (const row& r : rows) {
    CAPTURE(r.queue);
    CAPTURE(r.batch);
    const environment env{{"OTEL_BSP_MAX_QUEUE_SIZE", r.queue}, {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", r.batch}};
    const sdk::configuration c = from({}, env);
    CHECK(c.of(sdk::signal::traces).max_queue_size == r.queue_size);
    CHECK(c.of(sdk::signal::traces).max_export_batch_size == r.batch_size);
    CHECK(c.warnings.size() == r.warnings);
    CHECK(c.of(sdk::signal::logs).max_export_batch_size == 512);
  }
  CHECK(refusal({.traces = {.max_queue_size = 10, .max_export_batch_size = 11}}).setting() ==
        "traces.max_export_batch_size");
  CHECK(refusal({.logs = {.max_queue_size = 0}}).setting() == "logs.max_queue_size");
  CHECK(refusal({.max_queue_bytes = 0}).setting() == "max_queue_bytes");
}

TEST_CASE("samplers are chosen by name and ratio") {
  struct row {
    const char *name, *argument;
    sdk::sampler_kind kind;
    double ratio;
    std::size_t warnings;
  };
  using k = sdk::sampler_kind;
  const row rows[] = {{"always_off", "", k::always_off, 1, 0},
                      {"ALWAYS_ON", "nonsense", k::always_on, 1, 0},
                      {"traceidratio", "0.25", k::traceidratio, 0.25, 0},
                      {"parentbased_traceidratio", "", k::parentbased_traceidratio, 1, 0},
                      {"parentbased_traceidratio", "1.5", k::parentbased_traceidratio, 1, 1},
                      {"parentbased_traceidratio", "x", k::parentbased_traceidratio, 1, 1},
                      {"jaeger_remote", "0.5", k::parentbased_always_on, 1, 1},
                      {"", "0.5", k::parentbased_always_on, 1, 0}};
  for (const row& r : rows) {
    CAPTURE(r.name);
    CAPTURE(r.argument);
    const sdk::configuration c =
        from({}, environment{{"OTEL_TRACES_SAMPLER", r.name}, {"OTEL_TRACES_SAMPLER_ARG", r.argument}});
    CHECK(c.sampler == r.kind);
    CHECK(c.sampler_ratio == r.ratio);
    CHECK(c.warnings.size() == r.warnings);
  }
  CHECK(from({.sampler = {.ratio = 0.1}}).sampler == k::parentbased_traceidratio);
  CHECK(from({.sampler = {.name = "traceidratio", .ratio = 0.1}}).sampler_ratio == 0.1);
  CHECK(refusal({.sampler = {.ratio = 1.1}}).setting() == "sampler.ratio");
  CHECK(refusal({.sampler = {.name = "sometimes"}}).setting() == "sampler.name");
}

TEST_CASE("limits look at the model's own value first, then at the general one") {
  const environment env{{"OTEL_ATTRIBUTE_COUNT_LIMIT", "10"},
                        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "20"},
                        {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0"},
                        {"OTEL_SPAN_EVENT_COUNT_LIMIT", "many"},
                        {"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "3"}};
  const sdk::configuration c = from({}, env);
  CHECK(c.span_limits.attribute_count == 20);
  CHECK(c.log_limits.attribute_count == 10);
  CHECK(c.span_limits.attribute_value_length == 0);
  CHECK(c.span_limits.event_count == 128);
  CHECK(c.span_limits.link_attribute_count == 3);
  CHECK(c.warnings.size() == 1);
  const sdk::configuration coded = from({.attribute_count = 5, .log_limits = {.attribute_count = 6}}, env);
  CHECK(coded.span_limits.attribute_count == 5);
  CHECK(coded.log_limits.attribute_count == 6);
}

TEST_CASE("propagators are de-duplicated, none means none, and unknown ones are warned about") {
  const auto read = [](const char* list) { return from({}, environment{{"OTEL_PROPAGATORS", list}}); };
  using list = std::vector<sdk::propagator_kind>;
  CHECK(read("b3,b3,tracecontext").propagators == list{sdk::propagator_kind::b3, sdk::propagator_kind::tracecontext});
  CHECK(read("none").propagators.empty());
  CHECK(read("xray,b3multi").propagators == list{sdk::propagator_kind::b3multi});
  CHECK(read("xray").propagators.size() == 2);
  CHECK(read("xray").warnings.size() == 1);
  CHECK(from({.propagators = {{}}}).propagators.empty());
  CHECK(refusal({.propagators = {{"xray"}}}).setting() == "propagators");
}

TEST_CASE("the resource takes code over OTEL_SERVICE_NAME over OTEL_RESOURCE_ATTRIBUTES over what was detected") {
  const environment env{{"OTEL_RESOURCE_ATTRIBUTES", "service.name=list,team=a%2Cb,zone=1,service.instance.id=mine"},
                        {"OTEL_SERVICE_NAME", "named"}};
  const sdk::configuration c = from({.service_version = "2", .resource_attributes = {{"zone", 7}}}, env);
  CHECK(c.resource.find("service.name")->text() == "named");
  CHECK(c.origin_of("service").text() == "OTEL_SERVICE_NAME");
  CHECK(c.resource.find("team")->text() == "a,b");
  CHECK(*c.resource.find("zone") == resource_value{7});
  CHECK(c.resource.find("service.version")->text() == "2");
  CHECK(c.resource.find("service.instance.id")->text() == "mine");
  CHECK_FALSE(c.generated_instance_id);
  CHECK(c.resource.find("telemetry.sdk.name")->text() == "otlpkit");
  CHECK(c.resource.schema_url() == resource_schema_url);

  const sdk::configuration coded = from({.service = "coded", .detect_resource = false}, env);
  CHECK(coded.resource.find("service.name")->text() == "coded");
  CHECK(coded.origin_of("service").text() == "code");
  CHECK(coded.resource.find("host.name") == nullptr);
  CHECK(from({}).generated_instance_id);
  CHECK(from({}).resource.find("service.name")->text().starts_with("unknown_service"));
}

TEST_CASE("one error in OTEL_RESOURCE_ATTRIBUTES discards it all with a warning") {
  const sdk::configuration c = from({}, environment{{"OTEL_RESOURCE_ATTRIBUTES", "team=a,zone=%"}});
  CHECK(c.resource.find("team") == nullptr);
  REQUIRE(c.warnings.size() == 1);
  CHECK(c.warnings[0].starts_with("OTEL_RESOURCE_ATTRIBUTES: got \"team=a,zone=%\""));
}

TEST_CASE("the SDK can be disabled, by the environment or in code") {
  CHECK(from({}, environment{{"OTEL_SDK_DISABLED", "true"}}).disabled);
  CHECK_FALSE(from({.disabled = false}, environment{{"OTEL_SDK_DISABLED", "true"}}).disabled);
  CHECK(from({.disabled = true}).disabled);
  CHECK(banner(from({}, environment{{"OTEL_SDK_DISABLED", "true"}})) == "otlpkit " OTLPKIT_VERSION
                                                                        ": disabled (OTEL_SDK_DISABLED)");
}

TEST_CASE("metrics follow their own variables") {
  const environment env{
      {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"},
      {"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"},
      {"OTEL_METRICS_EXEMPLAR_FILTER", "always_off"},
      {"OTEL_METRIC_EXPORT_INTERVAL", "250"},
      {"OTEL_METRIC_EXPORT_TIMEOUT", "200"},
      {"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "gzip"}};
  const sdk::configuration c = from({}, env);
  CHECK(c.temporality == temporality_preference::lowmemory);
  CHECK(c.histogram_aggregation == histogram_aggregation::base2_exponential_bucket_histogram);
  CHECK(c.exemplar_filter == exemplar_filter::always_off);
  CHECK(c.of(sdk::signal::metrics).schedule_delay == 250ms);
  CHECK(c.of(sdk::signal::metrics).export_timeout == 200ms);
  CHECK(c.of(sdk::signal::metrics).compression == compression::gzip);
  CHECK(c.of(sdk::signal::traces).compression == compression::none);
  CHECK(from({.metrics = {.temporality = temporality_preference::delta}}, env).temporality ==
        temporality_preference::delta);
}

TEST_CASE("the level of otlpkit's own messages follows OTEL_LOG_LEVEL") {
  const auto level = [](const char* text) { return from({}, environment{{"OTEL_LOG_LEVEL", text}}).log_level; };
  CHECK(level("") == diagnostic_level::info);
  CHECK(level("trace") == diagnostic_level::debug);
  CHECK(level("WARN") == diagnostic_level::warning);
  CHECK(level("error") == diagnostic_level::error);
  CHECK(level("none") == std::nullopt);
  CHECK(level("loud") == diagnostic_level::info);
}

TEST_CASE("files, the books, the Prometheus address and the configuration file are read") {
  const environment env{
      {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca.pem"}, {"OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/logs.pem"},
      {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key.pem"}, {"OTLPKIT_BOOKS", "1"},
      {"OTEL_EXPORTER_PROMETHEUS_PORT", "70000"},    {"OTEL_CONFIG_FILE", "otel.yaml"}};
  const sdk::configuration c = from({.traces = {.client_key = "/mine.pem"}}, env);
  CHECK(c.of(sdk::signal::traces).certificate == "/ca.pem");
  CHECK(c.of(sdk::signal::logs).certificate == "/logs.pem");
  CHECK(c.of(sdk::signal::traces).client_key == "/mine.pem");
  CHECK(c.of(sdk::signal::metrics).client_key == "/key.pem");
  CHECK(c.books);
  CHECK(c.prometheus_port == 9464);
  CHECK(c.warnings.size() == 2);
}

TEST_CASE("what is said of metrics and of Prometheus is described with its origin, and nonsense is refused by name") {
  const environment env{{"OTLPKIT_PROMETHEUS_TRANSLATION", "No_Translation"},
                        {"OTLPKIT_PROMETHEUS_SCOPE_LABELS", "false"},
                        {"OTLPKIT_PROMETHEUS_TARGET_INFO", "false"},
                        {"OTLPKIT_SPAN_METRICS", "1"}};
  const sdk::configuration c =
      from({.metrics = {.aggregations = {{instrument_kind::histogram, aggregation::exponential()}},
                        .cardinality_limit = 50,
                        .max_export_batch_size = 9},
            .prometheus = {.target_info = true, .resource_labels = {"host.name", "os.type"}},
            .views = {{.match = {.name = "a"}}, {.match = {.name = "b"}}}},
           env);
  CHECK(c.translation == prometheus_translation::no_translation);
  CHECK_FALSE(c.prometheus_scope_labels);
  CHECK(c.prometheus_target_info);
  CHECK(c.span_metrics);
  CHECK(c.cardinality_limit == 50);
  CHECK(c.max_metric_batch_size == 9);
  const std::string text = describe(c);
  for (const char* line :
       {"views = 2 (code)", "span_metrics = true (OTLPKIT_SPAN_METRICS)", "metrics.aggregations = own (code)",
        "metrics.cardinality_limit = 50 (code)", "metrics.max_export_batch_size = 9 (code)",
        "metrics.producers = 0 (default)", "metrics.filter = none (default)",
        "prometheus.translation = no_translation (OTLPKIT_PROMETHEUS_TRANSLATION)",
        "prometheus.scope_labels = false (OTLPKIT_PROMETHEUS_SCOPE_LABELS)", "prometheus.target_info = true (code)",
        "prometheus.resource_labels = host.name os.type (code)"}) {
    CHECK(contains(text, std::string{line} + "\n"));
  }
  const sdk::configuration standard = from({});
  CHECK(standard.translation == prometheus_translation::underscore_escaping_with_suffixes);
  CHECK(standard.prometheus_scope_labels);
  CHECK(standard.prometheus_target_info);
  CHECK(contains(describe(standard), "views = 0 (default)\n"));
  CHECK(contains(describe(standard), "metrics.max_export_batch_size = no limit (default)\n"));
  const auto refused = [](const settings& s, const char* name) {
    CHECK_THROWS_WITH_AS(from(s), doctest::Contains(name), config_error);
  };
  refused({.metrics = {.cardinality_limit = 0}}, "metrics.cardinality_limit");
  refused({.metrics = {.max_export_batch_size = 0}}, "metrics.max_export_batch_size");
  refused({.metrics = {.aggregations = {{instrument_kind::counter, aggregation::last_value()}}}},
          "metrics.aggregations[0]");
  refused({.prometheus = {.translation = static_cast<prometheus_translation>(9)}}, "prometheus.translation");
  CHECK(from({}, environment{{"OTLPKIT_PROMETHEUS_TRANSLATION", "latin"}}).warnings.size() == 1);
}

TEST_CASE("the banner is one line with the destinations and what was changed, each with its origin") {
  const sdk::configuration c =
      from({.service = "checkout"},
           environment{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1?key=s3cret"}, {"OTEL_BSP_SCHEDULE_DELAY", "9"}});
  const std::string text = banner(c);
  CHECK(contains(text, "service=checkout (code)"));
  CHECK(contains(text, "traces.endpoint=http://c:1/v1/traces?*** (OTEL_EXPORTER_OTLP_ENDPOINT)"));
  CHECK(contains(text, "traces.schedule_delay=9 ms (OTEL_BSP_SCHEDULE_DELAY)"));
  CHECK_FALSE(contains(text, "logs.schedule_delay"));
  CHECK_FALSE(contains(text, "\n"));
  CHECK_FALSE(contains(text + describe(c), "s3cret"));
  CHECK(contains(describe(c), "logs.schedule_delay = 1000 ms (default)\n"));
  CHECK(contains(banner(from({.service = "a\nb"})), "service=\"a\\x0ab\" (code)"));
}

TEST_CASE("whatever the environment holds, finalize returns usable values and few, printable warnings") {
  std::mt19937_64 random{99};
  const std::vector<std::string> odd{"",
                                     "true",
                                     "0",
                                     "-1",
                                     "99999999999999999999",
                                     "%",
                                     "a=b",
                                     ",,,,",
                                     "http://c",
                                     "https://[::1]:1/x?y#z",
                                     "none",
                                     "grpc",
                                     "\xff\xfe",
                                     "=",
                                     "1.5",
                                     std::string(70'000, 'x'),
                                     std::string(60'000, ','),
                                     "console,otlp",
                                     "k=%zz,k2=v"};
  for (int round = 0; round < 300; ++round) {
    const environment env{[&](std::string_view) { return std::optional{odd[random() % odd.size()]}; }};
    const sdk::configuration c = from({.detect_resource = false}, env);
    CHECK(c.of(sdk::signal::traces).max_export_batch_size >= 1);
    CHECK(c.of(sdk::signal::traces).max_export_batch_size <= c.of(sdk::signal::traces).max_queue_size);
    CHECK(c.of(sdk::signal::metrics).schedule_delay >= 1ms);
    CHECK(c.warnings.size() <= environment_reader::max_warnings + 1);
    for (const std::string& warning : c.warnings) {
      CHECK(warning.size() < 600);
      CHECK(std::ranges::all_of(warning, [](char ch) { return ch >= 0x20 && ch < 0x7F; }));
    }
  }
}

TEST_CASE("a value of ten megabytes is refused in bounded time, whatever the variable") {
  const std::string huge = [] {
    std::string text;
    while (text.size() < 10'000'000) text += "a=b%2C,";
    return text;
  }();
  const environment env{[&](std::string_view) { return std::optional{huge}; }};
  const sdk::configuration c = from({.detect_resource = false}, env);
  CHECK(url(c, sdk::signal::traces) == "http://localhost:4318/v1/traces");
  CHECK(c.of(sdk::signal::traces).headers.empty());
  CHECK(c.warnings.size() <= environment_reader::max_warnings + 1);
}
