// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>

#include <doctest/doctest.h>

#include <map>
#include <string>

TEST_CASE("with OTLPKIT_DISABLE the same code compiles and neither reads nor sends") {
  std::map<std::string, std::string> headers{
      {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  const otlpkit::remote_context parent = otlpkit::extract(headers);
  CHECK_FALSE(parent.valid());
  const otlpkit::remote_scope remote{parent};
  const otlpkit::baggage_scope carried{otlpkit::current_baggage().with("a", "1")};
  CHECK(otlpkit::current_baggage().get("a").empty());
  otlpkit::span_guard span{"work", {}, {.parent = parent.span}};
  otlpkit::record_baggage(span, otlpkit::baggage_filter{"a"});
  std::map<std::string, std::string> out;
  otlpkit::inject(out);
  otlpkit::inject(out, span.context());
  otlpkit::propagators{otlpkit::propagator::b3}.inject(out);
  CHECK(out.empty());
}
