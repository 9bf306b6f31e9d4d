// SPDX-License-Identifier: MIT
#include <otlpkit/metrics/macros.hpp>

#include <doctest/doctest.h>

#include <string>

namespace {
constinit otlpkit::counter<std::int64_t> views{"views", {.unit = "{view}", .description = "d"}};
constinit otlpkit::histogram latency{"latency", {.unit = "s", .bounds = {1, 2}}};
}  // namespace

TEST_CASE("compiled out, instruments and macros take the same code and evaluate no macro argument") {
  bool evaluated = false;
  [[maybe_unused]] const auto value = [&] { return evaluated = true, 1; };
  const std::string name = "ada";
  OTLPKIT_COUNTER("c", {"user", name}, {"v", value()}).add();
  OTLPKIT_COUNTER("c").add(value());
  OTLPKIT_UP_DOWN_COUNTER("u").add(-value());
  if (evaluated)
    OTLPKIT_GAUGE("g", {"a", 1}).set(1.5);
  else
    OTLPKIT_HISTOGRAM("h").record(value());
  CHECK_FALSE(evaluated);
  views.add(1, {{"a", name}});
  views.bind({{"a", 1}}).add();
  latency.record(0.5);
  otlpkit::gauge<double> g{name};
  g.set(1);
}
