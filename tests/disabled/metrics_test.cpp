// SPDX-License-Identifier: MIT
#include <otlpkit/metrics/macros.hpp>
#include <otlpkit/metrics/observable.hpp>

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

TEST_CASE("compiled out, observable instruments take the same code and call no callback") {
  bool called = false;
  const otlpkit::observable_gauge<std::int64_t> depth{"depth",
                                                      [&](auto& out) {
                                                        called = true;
                                                        out.observe(3, {{"queue", "a"}});
                                                      },
                                                      {.unit = "{item}"}};
  const otlpkit::observable_counter<double> bytes{"bytes"};
  const otlpkit::observable_up_down_counter<> open{"open", {.description = "d"}};
  const otlpkit::metric_callback both{[&](otlpkit::observer& out) {
    called = true;
    out.observe(bytes, 1.0, {{"a", 1}});
    out.observe(open, 2);
  }};
  CHECK_FALSE(called);
}
