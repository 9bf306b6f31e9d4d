// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/sdk/finalize.hpp>

#include <support/finalized.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace otlpkit;
using namespace finalized;
using namespace std::chrono_literals;
using sdk::exporter_kind;

namespace {

struct silent_exporter final : sdk::exporter {
  std::string_view name() const noexcept override { return "silent"; }
  bool accepts(sdk::signal) const noexcept override { return true; }
  void send(std::shared_ptr<const sdk::batch> b, completion done) override {
    done({b->items(), sdk::drop_reason::failed});
  }
};

}  // namespace

TEST_CASE("endpoints follow the rules of the OTLP exporter") {
  struct row {
    const char *general, *traces, *url;
  };
  const row rows[] = {
      {"http://c:4318", "", "http://c:4318/v1/traces"},
      {"http://c:4318/", "", "http://c:4318/v1/traces"},
      {"http://c:4318/my/", "", "http://c:4318/my/v1/traces"},
      {"http://c:4318/my", "", "http://c:4318/my/v1/traces"},
      {"https://c", "", "https://c/v1/traces"},
      {" http://c ", "", "http://c/v1/traces"},
      {"http://[::1]:4318", "", "http://[::1]:4318/v1/traces"},
      {"", "http://c:4318", "http://c:4318/"},
      {"http://other", "http://c:4318/v1/traces/", "http://c:4318/v1/traces/"},
      {"", "", "http://localhost:4318/v1/traces"},
  };
  for (const row& r : rows) {
    CAPTURE(r.url);
    const environment env{{"OTEL_EXPORTER_OTLP_ENDPOINT", r.general}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", r.traces}};
    const sdk::configuration c = from({}, env);
    CHECK(url(c, sdk::signal::traces) == r.url);
    CHECK(c.warnings.empty());
    // The same from code.
    CHECK(url(from({.endpoint = std::string{trimmed(r.general)}, .traces = {.endpoint = r.traces}}),
              sdk::signal::traces) == r.url);
  }
  const sdk::configuration c = from(
      {}, environment{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a"}, {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://b/x"}});
  CHECK(url(c, sdk::signal::traces) == "http://a/v1/traces");
  CHECK(url(c, sdk::signal::metrics) == "http://a/v1/metrics");
  CHECK(url(c, sdk::signal::logs) == "http://b/x");
}

TEST_CASE("an endpoint that is no URL is refused in code, and ignored with one warning in the environment") {
  for (const char* bad :
       {"localhost:4318", "ftp://c", "http://", "http://c:0", "http://c:65536", "http://c:x", "http://c d",
        "http://[::1", "http://c\r\nX: y", "http://\xC3\xA9", "http://me:s3cret@c", "://", "?"}) {
    CAPTURE(bad);
    const config_error error = refusal({.endpoint = bad});
    CHECK(error.setting() == "endpoint");
    CHECK_FALSE(contains(error.what(), "s3cret"));
    CHECK(refusal({.logs = {.endpoint = bad}}).setting() == "logs.endpoint");

    const sdk::configuration c = from({}, environment{{"OTEL_EXPORTER_OTLP_ENDPOINT", bad}});
    CHECK(url(c, sdk::signal::traces) == "http://localhost:4318/v1/traces");
    REQUIRE(c.warnings.size() == 1);
    CHECK(c.warnings[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: got "));
    CHECK_FALSE(contains(c.warnings[0], "s3cret"));
  }
  const environment both{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://good"}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "bad"}};
  CHECK(url(from({}, both), sdk::signal::traces) == "http://good/v1/traces");
}

TEST_CASE("a protocol that is not built in gives one warning that names it, then http/protobuf") {
  for (const char* name : {"grpc", "http/json", "GRPC"}) {
    const sdk::configuration c = from({}, environment{{"OTEL_EXPORTER_OTLP_PROTOCOL", name}});
    REQUIRE(c.warnings.size() == 1);
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(),
                           [](char ch) { return ch >= 'A' && ch <= 'Z' ? static_cast<char>(ch + 32) : ch; });
    CHECK(contains(c.warnings[0], lower));
    CHECK(contains(c.warnings[0], "http/protobuf"));
  }
  CHECK(from({.protocol = "grpc"}).warnings.size() == 1);
  CHECK(from({.protocol = "http/protobuf"}, environment{{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}}).warnings.empty());
  CHECK(refusal({.protocol = "carrier pigeon"}).setting() == "protocol");
  CHECK(contains(from({}, environment{{"OTEL_EXPORTER_OTLP_PROTOCOL", "pigeon"}}).warnings.at(0), "\"pigeon\""));
}

TEST_CASE("headers come from the most specific place, and their values are never printed") {
  const environment env{{"OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20s3cret,x=1"},
                        {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=s3cret"}};
  const sdk::configuration c = from({}, env);
  CHECK(c.of(sdk::signal::traces).headers == header_list{{"api-key", "s3cret"}});
  CHECK(c.of(sdk::signal::logs).headers == header_list{{"authorization", "Bearer s3cret"}, {"x", "1"}});
  CHECK(c.origin_of("traces.headers").text() == "OTEL_EXPORTER_OTLP_TRACES_HEADERS");
  CHECK(from({.headers = header_list{}}, env).of(sdk::signal::logs).headers.empty());
  CHECK(from({.headers = header_list{{"X-A", "1"}, {"x-a", "2"}}}).of(sdk::signal::logs).headers ==
        header_list{{"x-a", "2"}});
  for (const std::string& text : {describe(c), banner(c)}) {
    CHECK_FALSE(contains(text, "s3cret"));
    CHECK(contains(text, "authorization=(hidden)"));
  }
}

TEST_CASE("headers that would break a request are refused in code and left out of the environment's, unseen") {
  for (const auto& header : header_list{{"", "s3cret"},
                                        {"na me", "s3cret"},
                                        {"k", "s3cret\r\nx: y"},
                                        {"Host", "s3cret"},
                                        {"content-length", "s3cret"}}) {
    CAPTURE(header.first);
    const config_error error = refusal({.traces = {.headers = header_list{header}}});
    CHECK(error.setting() == "traces.headers");
    CHECK_FALSE(contains(error.what(), "s3cret"));
  }
  const sdk::configuration c =
      from({}, environment{{"OTEL_EXPORTER_OTLP_HEADERS", "s3cret,Host=s3cret,k=s3cret%,a=%0As3cret,good=1"}});
  CHECK(c.of(sdk::signal::traces).headers == header_list{{"good", "1"}});
  CHECK_FALSE(c.warnings.empty());
  for (const std::string& warning : c.warnings) {
    CHECK(warning.starts_with("OTEL_EXPORTER_OTLP_HEADERS"));
    CHECK_FALSE(contains(warning, "s3cret"));
  }
}

TEST_CASE("exporters come from lists, and unknown names are warned about and left out") {
  const auto traces = [](const char* list) {
    const sdk::configuration c = from({}, environment{{"OTEL_TRACES_EXPORTER", list}});
    return std::pair{c.of(sdk::signal::traces).exporters, c.warnings.size()};
  };
  using list = std::vector<exporter_kind>;
  CHECK(traces("otlp") == std::pair{list{exporter_kind::otlp}, std::size_t{0}});
  CHECK(traces("Console , otlp,console") ==
        std::pair{list{exporter_kind::console, exporter_kind::otlp}, std::size_t{0}});
  CHECK(traces("none") == std::pair{list{}, std::size_t{0}});
  CHECK(traces("zipkin,console") == std::pair{list{exporter_kind::console}, std::size_t{1}});
  CHECK(traces("prometheus") == std::pair{list{exporter_kind::otlp}, std::size_t{1}});
  CHECK(from({.traces = {.exporters = {{}}}}).of(sdk::signal::traces).exporters.empty());
  CHECK(from({.traces = {.exporters = {{"console"}}}}).of(sdk::signal::traces).exporters ==
        list{exporter_kind::console});
  CHECK(refusal({.metrics = {.exporters = {{"zipkin"}}}}).setting() == "metrics.exporters");
}

TEST_CASE("with the console on, the tree is alone until an endpoint is given, and a list has the last word") {
  using list = std::vector<exporter_kind>;
  const auto traces = [](console_mode mode, const environment& env, const std::string& endpoint = {}) {
    return from({.endpoint = endpoint, .console = mode}, env).of(sdk::signal::traces).exporters;
  };
  const environment endpoint{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"}};
  const environment none{{"OTEL_TRACES_EXPORTER", "none"}};
  const environment console{{"OTEL_TRACES_EXPORTER", "console"}};
  const list otlp{exporter_kind::otlp};
  const list tree{exporter_kind::console};
  const list both{exporter_kind::otlp, exporter_kind::console};
  CHECK(traces(console_mode::on, nothing) == tree);
  CHECK(traces(console_mode::on, endpoint) == both);
  CHECK(traces(console_mode::on, nothing, "http://c") == both);
  CHECK(traces(console_mode::on, none) == list{});
  CHECK(traces(console_mode::automatic, nothing) == otlp);
  CHECK(traces(console_mode::automatic, endpoint) == otlp);
  CHECK(traces(console_mode::automatic, console) == tree);
  CHECK(traces(console_mode::off, console) == list{});
}

TEST_CASE("a user's own exporter is alone unless an endpoint or a list says otherwise") {
  const settings s{.exporters = {std::make_shared<silent_exporter>(), nullptr}};
  CHECK(from(s).exporters.size() == 1);
  CHECK(from(s).of(sdk::signal::traces).exporters.empty());
  CHECK(from(s, environment{{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"}})
            .of(sdk::signal::traces)
            .exports_to(exporter_kind::otlp));
  CHECK(from(s, environment{{"OTEL_LOGS_EXPORTER", "otlp"}}).of(sdk::signal::logs).exports_to(exporter_kind::otlp));
}

TEST_CASE("metrics that only go to the console go every ten seconds") {
  CHECK(from({}, environment{{"OTEL_METRICS_EXPORTER", "console"}}).of(sdk::signal::metrics).schedule_delay == 10s);
  CHECK(from({.metrics = {.exporters = {{"console"}}, .interval = 3s}}).of(sdk::signal::metrics).schedule_delay == 3s);
}
