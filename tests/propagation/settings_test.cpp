// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>
#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <doctest/doctest.h>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace http = boost::beast::http;
using otlpkit::propagator;
using otlpkit::propagators;

otlpkit::settings in_memory() { return {.exporters = {std::make_shared<otlpkit::testing::memory_exporter>()}}; }

/// What is in force with this value of OTEL_PROPAGATORS.
propagators with_variable(const std::string& value, std::vector<std::string>* warnings = nullptr) {
  const otlpkit::telemetry telemetry{in_memory(), otlpkit::environment{{"OTEL_PROPAGATORS", value}}};
  if (warnings != nullptr) *warnings = telemetry.configuration().warnings;
  return otlpkit::current_propagators();
}

}  // namespace

TEST_CASE("OTEL_PROPAGATORS chooses the formats, in its order and each once") {
  CHECK(with_variable("") == propagators::standard());
  CHECK(with_variable("b3") == propagators{propagator::b3});
  CHECK(with_variable("B3Multi, jaeger,b3multi") == propagators{propagator::b3multi, propagator::jaeger});
  CHECK(with_variable("baggage,tracecontext") == propagators{propagator::baggage, propagator::tracecontext});
  CHECK(with_variable("none").empty());
}

TEST_CASE("an unknown name in OTEL_PROPAGATORS is warned about by name, and the others count") {
  std::vector<std::string> warnings;
  CHECK(with_variable("xray,b3,bogus", &warnings) == propagators{propagator::b3});
  REQUIRE(warnings.size() == 2);
  CHECK(warnings[0].find("OTEL_PROPAGATORS") != std::string::npos);
  CHECK(warnings[0].find("xray") != std::string::npos);
  CHECK(warnings[1].find("bogus") != std::string::npos);
  CHECK(with_variable("bogus") == propagators::standard());
}

TEST_CASE("settings in code win, and the next telemetry object chooses anew") {
  {
    otlpkit::settings s = in_memory();
    s.propagators = {"b3"};
    const otlpkit::telemetry telemetry{s, otlpkit::environment{{"OTEL_PROPAGATORS", "jaeger"}}};
    CHECK(otlpkit::current_propagators() == propagators{propagator::b3});
  }
  const otlpkit::telemetry telemetry{in_memory(), otlpkit::environment{{"OTEL_PROPAGATORS", ""}}};
  CHECK(otlpkit::current_propagators() == propagators::standard());
}

TEST_CASE("a disabled SDK still propagates, by the configured formats") {
  const otlpkit::telemetry telemetry{
      {}, otlpkit::environment{{"OTEL_SDK_DISABLED", "true"}, {"OTEL_PROPAGATORS", "tracecontext,b3"}}};
  http::request<http::empty_body> in;
  in.insert("TraceParent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  in.insert("tracestate", "a=1");
  in.insert("tracestate", "b=2");
  const otlpkit::remote_scope remote{otlpkit::extract(in)};
  const otlpkit::span_guard span{"serve"};
  http::request<http::empty_body> out;
  otlpkit::inject(out);
  CHECK(std::string_view{out["traceparent"]} == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  CHECK(std::string_view{out["tracestate"]} == "a=1,b=2");
  CHECK(std::string_view{out["b3"]} == "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1");
}

TEST_CASE("Beast's fields are carriers: names in any case, repeats seen, old values replaced") {
  const otlpkit::telemetry telemetry{in_memory(), otlpkit::environment{{"OTEL_PROPAGATORS", ""}}};
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  http::fields in;
  in.insert("TRACEPARENT", parent);
  in.insert("baggage", "a=1");
  in.insert("Baggage", "b=2");
  const otlpkit::remote_context c = otlpkit::extract(in);
  CHECK((c.valid() && c.baggage.size() == 2));
  in.insert("traceparent", parent);
  CHECK_FALSE(otlpkit::extract(in).valid());

  http::response<http::empty_body> out;
  out.insert("Traceparent", "old");
  out.insert("traceparent", "older");
  otlpkit::inject(out, c.span, c.baggage);
  CHECK(out.count("traceparent") == 1);
  CHECK(std::string_view{out["traceparent"]} == parent);
  CHECK(std::string_view{out["baggage"]} == "a=1,b=2");
  http::fields jaeger;
  jaeger.insert("uber-trace-id", "1:2:0:1");
  jaeger.insert("uberctx-k", "v");
  CHECK(propagators{propagator::jaeger}.extract(jaeger).baggage.get("k") == "v");
}
