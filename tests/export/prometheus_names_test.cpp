// SPDX-License-Identifier: MIT
// What metrics and labels are called, and in which format a client gets them.
#include <doctest/doctest.h>

#include "export/prometheus_page.hpp"

#include <string>
#include <string_view>
#include <utility>

TEST_CASE("names and units become what Prometheus calls them") {
  struct row {
    const char *name, *unit, *counter, *gauge;
  };
  const row rows[] = {
      {"foo.bar", "By", "foo_bar_bytes_total", "foo_bar_bytes"},
      {"foo.bar", "", "foo_bar_total", "foo_bar"},
      {"foo..bar--baz", "1", "foo_bar_baz_total", "foo_bar_baz"},
      {"http.server.duration", "s", "http_server_duration_seconds_total", "http_server_duration_seconds"},
      {"wait_seconds", "s", "wait_seconds_total", "wait_seconds"},
      {"bytes", "By", "bytes_total", "bytes"},
      {"foobytes", "By", "foobytes_bytes_total", "foobytes_bytes"},
      {"jobs.total", "{job}", "jobs_total", "jobs_total"},
      {"in.total", "By", "in_bytes_total", "in_total_bytes"},
      {"speed", "m/s", "speed_meters_per_second_total", "speed_meters_per_second"},
      {"load", "{request}/s", "load_per_second_total", "load_per_second"},
      {"traffic", "By/{request}", "traffic_bytes_total", "traffic_bytes"},
      {"2xx", "", "_2xx_total", "_2xx"},
      {"fill", "%", "fill_percent_total", "fill_percent"},
      {"odd", "foo/bar baz", "odd_foo_per_bar_baz_total", "odd_foo_per_bar_baz"},
      {"a:b", "", "a:b_total", "a:b"},
  };
  for (const row& r : rows) {
    CAPTURE(r.name);
    CAPTURE(r.unit);
    CHECK(parse(render(request(metric(r.name, sum(int_point(1), true), r.unit))).text).samples.count(r.counter) == 1);
    CHECK(parse(render(request(metric(r.name, gauge(int_point(1)), r.unit))).text).samples.count(r.gauge) == 1);
  }
  const std::pair<const char*, const char*> units[] = {
      {"d", "days"},          {"h", "hours"},         {"min", "minutes"},    {"s", "seconds"},
      {"ms", "milliseconds"}, {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},
      {"KiBy", "kibibytes"},  {"MiBy", "mebibytes"},  {"GiBy", "gibibytes"}, {"TiBy", "tebibytes"},
      {"kBy", "kilobytes"},   {"MBy", "megabytes"},   {"GBy", "gigabytes"},  {"TBy", "terabytes"},
      {"m", "meters"},        {"V", "volts"},         {"A", "amperes"},      {"J", "joules"},
      {"W", "watts"},         {"g", "grams"},         {"Cel", "celsius"},    {"Hz", "hertz"},
      {"%", "percent"}};
  for (const auto& [unit, word] : units) CHECK(prometheus::unit_word(unit) == word);
}

TEST_CASE("the format is chosen by weight, and text is what remains") {
  const auto type = [](std::string_view accept) { return prometheus::negotiate(accept).content_type; };
  const std::string_view text = "text/plain; version=0.0.4; charset=utf-8";
  const std::string_view open = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores";
  CHECK(type("") == text);
  CHECK(type("*/*") == text);
  CHECK(type("text/html, */*;q=0.1") == text);
  CHECK(type("application/json") == text);
  CHECK(type("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
             "text/plain;version=0.0.4;q=0.5,*/*;q=0.1") == open);
  CHECK(type("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3") ==
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
  CHECK(type("application/openmetrics-text;q=0.2, text/plain;q=0.3") == text);
  CHECK(type("Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=0.9 , text/plain;q=0.8") == open);
  CHECK(type("application/openmetrics-text;version=0.0.1") ==
        "application/openmetrics-text; version=0.0.1; charset=utf-8");
  CHECK(type("text/plain;version=1.0.0;escaping=allow-utf-8") ==
        "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8");
  CHECK(type("text/plain;version=1.0.0;escaping=DOTS") == "text/plain; version=1.0.0; charset=utf-8; escaping=dots");
  CHECK(type("text/plain;version=1.0.0") == "text/plain; version=1.0.0; charset=utf-8; escaping=underscores");
  CHECK(type("text/plain;version=1.0.0;escaping=rot13") ==
        "text/plain; version=1.0.0; charset=utf-8; escaping=underscores");
  CHECK(type("text/plain;version=0.0.4;escaping=values") == text);  // older versions have no such thing
  CHECK(prometheus::negotiate("text/plain;version=0.0.4;escaping=values").names == prometheus::escaping::underscores);
  CHECK(prometheus::negotiate("application/openmetrics-text;escaping=values").names == prometheus::escaping::values);
  CHECK(prometheus::negotiate("text/plain;version=1.0.0;escaping=allow-utf8").names ==
        prometheus::escaping::allow_utf8);
  CHECK(type("application/openmetrics-text;q=0, text/plain;q=0.001") == text);
  CHECK(type("application/openmetrics-text;version=9") == text);
  CHECK(type("application/openmetrics-text;q=7") == text);
  CHECK(prometheus::negotiate("application/openmetrics-text").how == format::openmetrics);
}

TEST_CASE("each translation strategy names a counter as the specification says, however the client wants it escaped") {
  using strategy = otlpkit::prometheus_translation;
  using prometheus::escaping;
  const std::string otlp = request(metric("foo.bar", sum(int_point(5, label(7, "a.b", "v")), true), "By"));
  const auto line = [&](strategy how, escaping names) {
    const std::string text =
        render(otlp, format::text, {.scope_labels = false, .target_info = false, .translation = how}, names).text;
    return text.substr(text.find('\n') + 1);
  };
  const std::pair<strategy, std::string> plain[] = {
      {strategy::underscore_escaping_with_suffixes, "foo_bar_bytes_total"},
      {strategy::underscore_escaping_without_suffixes, "foo_bar"},
      {strategy::no_utf8_escaping_with_suffixes, "foo_bar_bytes_total"},
      {strategy::no_translation, "foo_bar"}};
  for (const auto& [how, name] : plain) CHECK(line(how, escaping::underscores) == name + "{a_b=\"v\"} 5\n");
  CHECK(line(strategy::underscore_escaping_with_suffixes, escaping::allow_utf8) ==
        "foo_bar_bytes_total{a_b=\"v\"} 5\n");
  CHECK(line(strategy::underscore_escaping_without_suffixes, escaping::allow_utf8) == "foo_bar{a_b=\"v\"} 5\n");
  CHECK(line(strategy::no_utf8_escaping_with_suffixes, escaping::allow_utf8) ==
        "{\"foo.bar_bytes_total\",\"a.b\"=\"v\"} 5\n");
  CHECK(line(strategy::no_translation, escaping::allow_utf8) == "{\"foo.bar\",\"a.b\"=\"v\"} 5\n");
  CHECK(line(strategy::no_translation, escaping::dots) == "foo_dot_bar{a_dot_b=\"v\"} 5\n");
  CHECK(line(strategy::no_utf8_escaping_with_suffixes, escaping::dots) ==
        "foo_dot_bar__bytes__total{a_dot_b=\"v\"} 5\n");
  CHECK(line(strategy::no_translation, escaping::values) == "U__foo_2E_bar{U__a_2E_b=\"v\"} 5\n");
  CHECK(line(strategy::no_utf8_escaping_with_suffixes, escaping::values) ==
        "U__foo_2E_bar__bytes__total{U__a_2E_b=\"v\"} 5\n");
}

TEST_CASE("names that are escaped stay apart and sound in every format") {
  using prometheus::escaping;
  using prometheus::detail::escaped;
  CHECK(escaped("m\xc3\xa9trique", escaping::values, true) == "U__m_E9_trique");
  CHECK(escaped("\xf0\x9f\x98\x80", escaping::values, true) == "U___1F600_");
  CHECK(escaped("a_b.c:d", escaping::values, false) == "U__a__b_2E_c_3A_d");
  CHECK(escaped("a_b", escaping::values, true) == "a_b");
  CHECK(escaped("a_b:c", escaping::dots, true) == "a__b:c");
  CHECK(escaped("9lives", escaping::underscores, true) == "_lives");
  CHECK(escaped("\xc3\xa9.x", escaping::underscores, true) == "__x");

  const std::string otlp = request(
      metric("q\"uote",
             histogram(bytes(1, fixed(4, 3) + real(5, 2) + packed(6, {1, 2}) + packed(7, {0x3FF0000000000000}))), "s",
             "Help") +
          metric("\xff.raw", gauge(int_point(1))) + metric("count.up", sum(int_point(2), true)),
      bytes(1, std::string{"lib"}) + label(3, "scope.key", "x"), label(1, "host.name", "h"));
  for (const auto names : {escaping::underscores, escaping::dots, escaping::values, escaping::allow_utf8}) {
    for (const auto how : {format::text, format::openmetrics}) {
      const std::string text =
          render(otlp, how, {.translation = otlpkit::prometheus_translation::no_translation}, names).text;
      const parsed p = parse(text);
      CAPTURE(text);
      CHECK(p.sound);
      CHECK(p.samples.size() == 2 + 2 + 1 + 1 + 1);
      CHECK(p.types.size() == 4);
    }
  }
  const std::string utf8 =
      render(otlp, format::openmetrics, {.translation = otlpkit::prometheus_translation::no_translation},
             escaping::allow_utf8)
          .text;
  CHECK(utf8.find("# TYPE \"q\\\"uote\" histogram\n") != utf8.npos);
  CHECK(utf8.find("{\"q\\\"uote_bucket\",\"otel_scope_name\"") == utf8.npos);
  CHECK(utf8.find("{\"q\\\"uote_bucket\",otel_scope_name=\"lib\",\"otel_scope_scope.key\"=\"x\",le=\"1.0\"} 1") !=
        utf8.npos);
  CHECK(utf8.find("target_info{\"host.name\"=\"h\"} 1") != utf8.npos);
  CHECK(utf8.find("{\"\xef\xbf\xbd.raw\"") != utf8.npos);
  // OpenMetrics has no counters that do not end in _total.
  CHECK(utf8.find("# TYPE \"count.up\" unknown\n") != utf8.npos);
}

TEST_CASE("the scope's labels and target_info can be left out, and attributes of the resource put on every series") {
  const std::string otlp =
      request(metric("a", gauge(int_point(1, label(7, "service.name", "mine")))), bytes(1, std::string{"lib"}),
              label(1, "service.name", "shop") + label(1, "host.name", "h"));
  CHECK(render(otlp, format::text, {.scope_labels = false, .target_info = false}).text ==
        "# TYPE a gauge\na{service_name=\"mine\"} 1\n");
  CHECK(render(otlp, format::text, {.target_info = false, .resource_labels = {"host.name"}}).text ==
        "# TYPE a gauge\na{service_name=\"mine\",host_name=\"h\",otel_scope_name=\"lib\"} 1\n");
  const std::string all = render(otlp, format::text, {.target_info = false, .resource_labels = {"*"}}).text;
  CHECK(all ==
        "# TYPE a "
        "gauge\na{exported_service_name=\"mine\",host_name=\"h\",otel_scope_name=\"lib\",service_name=\"shop\"} 1\n");
  const std::string twice = request(metric("a", gauge(int_point(1, ""))), bytes(1, std::string{"lib"}),
                                    label(1, "otel_scope_name", "of the resource"));
  CHECK(render(twice, format::text, {.target_info = false, .resource_labels = {"*"}}).text ==
        "# TYPE a gauge\na{otel_scope_name=\"lib\"} 1\n");
}

TEST_CASE("gzip is used where it is asked for") {
  CHECK(prometheus::wants_gzip("gzip"));
  CHECK(prometheus::wants_gzip("deflate, GZIP;q=0.5"));
  CHECK(prometheus::wants_gzip("*"));
  CHECK_FALSE(prometheus::wants_gzip(""));
  CHECK_FALSE(prometheus::wants_gzip("gzip;q=0, *;q=1"));
  CHECK_FALSE(prometheus::wants_gzip("br, identity"));
}
