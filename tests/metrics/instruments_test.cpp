// SPDX-License-Identifier: MIT
#include <otlpkit/core/platform_host.hpp>
#include <otlpkit/metrics/macros.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <doctest/doctest.h>
#include <support/metric_points.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using metric_points::diagnostics;
using metric_points::metric;
using metric_points::named;
using metric_points::recording;
using otlpkit::sdk::metric_reader;

namespace shop {
OTLPKIT_SCOPE("shop", "2.0")
void view() { OTLPKIT_COUNTER("scoped.views").add(); }
}  // namespace shop

namespace {
constinit otlpkit::counter<std::int64_t> views{"product.views", {.unit = "{view}", .description = "Looks at products"}};
constinit otlpkit::histogram latency{"latency", {.unit = "s", .bounds = {0.1, 1, 10}}};

std::int64_t sum_of(const metric& m) {
  std::int64_t sum = 0;
  for (const auto& p : m.points) sum += p.integer;
  return sum;
}
}  // namespace

TEST_CASE("every kind of instrument reports what it measured, with its labels, unit and description") {
  const recording on;
  metric_reader reader{{.start = 5}};
  otlpkit::up_down_counter<double> open{"connections.open"};
  otlpkit::gauge<std::int64_t> size{"cart.size"};
  views.add(3, {{"source", "cache"}});
  views.add();
  open.add(2.5);
  open.add(-4);
  size.set(7);
  size.set(-3);
  latency.record(0.1);
  latency.record(5);

  const auto out = reader.collect(9);
  const metric v = named(out, "product.views");
  CHECK(v.unit == "{view}");
  CHECK(v.description == "Looks at products");
  CHECK(v.data == 7);
  CHECK(v.monotonic);
  CHECK(v.temporality == 2);
  REQUIRE(v.points.size() == 2);
  CHECK(v.points[0].labels.at("source") == "cache");
  CHECK(v.points[0].integer == 3);
  CHECK(v.points[1].integer == 1);
  CHECK(v.points[1].time == 9);
  CHECK_FALSE(named(out, "connections.open").monotonic);
  CHECK(named(out, "connections.open").points.at(0).real == -1.5);
  CHECK(named(out, "cart.size").data == 5);
  CHECK(named(out, "cart.size").points.at(0).integer == -3);
  const metric h = named(out, "latency");
  CHECK(h.points.at(0).counts == std::vector<std::uint64_t>{1, 0, 1, 0});
  CHECK(h.points[0].bounds == std::vector<double>{0.1, 1, 10});
  CHECK(h.points[0].min == 0.1);
  CHECK(h.points[0].max == 5);
  CHECK(reader.points() == 5);
}

TEST_CASE("advice holds without any view, too") {
  const recording on;
  static constexpr std::string_view keys[] = {"a"};
  metric_reader reader;
  const otlpkit::counter<std::int64_t> c{"adv.alone", {.attributes = keys}};
  c.add(1, {{"a", 1}, {"b", 1}});
  c.add(1, {{"a", 1}, {"b", 2}});
  c.add(1, {{"b", 3}});
  const metric m = named(reader.collect(1), "adv.alone");
  REQUIRE(m.points.size() == 2);  // one without the attribute
  for (const auto& p : m.points) {
    CHECK(p.labels.size() == (p.integer == 2 ? 1 : 0));
    CHECK((p.integer == 1 || p.labels.at("a") == "1"));
  }
}

TEST_CASE("labels are one series in any order, with the last of equal keys") {
  const recording on;
  metric_reader reader;
  const std::string user = "ada";
  for (int i = 0; i < 2; ++i) {
    views.add(1, {{"user", user}, {"n", 5}, {"ok", true}});
    views.add(1, {{"ok", true}, {"n", 5}, {"user", "ada"}});
    views.add(1, {{"n", 4}, {"ok", true}, {"user", user}, {"n", 5}});
    views.add(10, {{"n", 5}, {"ok", true}, {"user", "bob"}});
    views.add(100, {{"n", "5"}, {"ok", true}, {"user", user}});
  }
  const metric m = named(reader.collect(1), "product.views");
  REQUIRE(m.points.size() == 3);
  CHECK(m.points[0].integer == 6);
  CHECK(m.points[1].integer == 20);
  CHECK(m.points[2].integer == 200);
}

TEST_CASE("labels of every kind and length find their series again") {
  const recording on;
  metric_reader reader;
  otlpkit::counter<std::int64_t> c{"kinds"};
  const std::array<int, 3> list{1, 2, 3};
  std::vector<std::string> texts;
  for (std::size_t n = 0; n < 40; ++n) {
    texts.push_back(std::string(n, 'a'));
    for (std::size_t at = 0; at < n; ++at) {
      texts.push_back(std::string(n, 'a'));
      texts.back()[at] = 'b';  // each differs from the others in one place
    }
  }
  std::vector<std::string> keys;  // more than there are key bits, and apart in the middle only
  for (int n = 100; n < 200; ++n) keys.push_back("beginning " + std::to_string(n) + " the end");
  for (int round = 0; round < 2; ++round) {
    for (const std::string& t : texts) c.add(1, {{"t", t}});
    for (const std::string& k : keys) c.add(1, {{std::string_view{k}, 1}});
    c.add(1, {{"list", list}});
    c.add(1, {{"half", 0.5}, {"none", nullptr}});
    c.add(1, {{"bad", "\xFF"}});
    c.add(1, {{std::string_view{"run\xFFtime"}, 1}});
    c.add(1, {{"big", std::numeric_limits<std::uint64_t>::max()}});
  }
  const metric m = named(reader.collect(1), "kinds");
  CHECK(m.points.size() == texts.size() + keys.size() + 5);
  for (const auto& p : m.points) CHECK(p.integer == 2);
}

TEST_CASE("macros at several sites and function twins share one stream by name, kind, unit and number type") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  for (int i = 0; i < 3; ++i) OTLPKIT_COUNTER("shared", {"source", "cache"}).add();
  OTLPKIT_COUNTER("SHARED", {"source", "cache"}).add(4);
  otlpkit::counter<std::int64_t> twin{"shared"};
  twin.add(10, {{"source", "cache"}});
  const metric m = named(reader.collect(1), "shared");
  REQUIRE(m.points.size() == 1);
  CHECK(m.points[0].integer == 17);
  CHECK(said.count("shared") == 0);
}

TEST_CASE("conflicting instruments are said by name and both exported") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::counter<std::int64_t> first{"conflicted", {.unit = "s"}};
  otlpkit::counter<std::int64_t> second{"conflicted", {.unit = "ms"}};
  first.add();
  second.add();
  CHECK(said.count("\"conflicted\" is registered with another kind") == 1);
  CHECK(reader.collect(1).at(0).count == 2);
}

TEST_CASE("a bad name is said once and the instrument records nothing") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::counter<std::int64_t> bad{"9 lives"};
  for (int i = 0; i < 3; ++i) bad.add(1, {{"a", 1}});
  bad.bind({}).add();
  CHECK(reader.collect(1).empty());
  CHECK(said.count("\"9 lives\"") == 1);

  CHECK(otlpkit::is_instrument_name("a"));
  CHECK(otlpkit::is_instrument_name("http.server/duration_x-1"));
  CHECK(otlpkit::is_instrument_name(std::string(255, 'a')));
  for (const std::string& name : {std::string{}, std::string{"1a"}, std::string{"_a"}, std::string{"a b"},
                                  std::string{"\xC3\xA4"}, std::string(256, 'a')}) {
    CHECK_FALSE(otlpkit::is_instrument_name(name));
  }
}

TEST_CASE("negative additions to a counter and values that are no numbers are dropped and said once") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  otlpkit::counter<double> c{"dropping"};
  otlpkit::histogram h{"dropping.h"};
  otlpkit::gauge<double> g{"taking"};
  c.add(1);
  for (const double v : {-1.0, -infinity, infinity, nan}) c.add(v);
  for (const double v : {-infinity, infinity, nan, 2.0}) h.record(v);
  g.set(infinity);
  const auto out = reader.collect(1);
  CHECK(named(out, "dropping").points.at(0).real == 1);
  CHECK(named(out, "dropping.h").points.at(0).count == 1);
  CHECK(named(out, "dropping.h").points.at(0).max == 2);
  CHECK(named(out, "taking").points.at(0).real == infinity);
  CHECK(said.count("negative") == 1);
  CHECK(said.count("NaN") == 2);
}

TEST_CASE("bounds that do not ascend give way to the default ones, and other advice than the first to the first") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::histogram bad{"bad.bounds", {.bounds = {1, 1}}};
  otlpkit::histogram one{"advised", {.bounds = {1, 2}}};
  otlpkit::histogram other{"advised", {.bounds = {3}}};
  bad.record(1);
  other.record(1);
  const auto out = reader.collect(1);
  CHECK(named(out, "bad.bounds").points.at(0).bounds.size() == 15);
  CHECK(named(out, "advised").points.at(0).bounds == std::vector<double>{1, 2});
  CHECK(said.count("\"bad.bounds\" has bucket bounds") == 1);
  CHECK(said.count("\"advised\" was registered with other bucket bounds") == 1);
}

TEST_CASE("while metrics are off nothing is recorded, and a macro evaluates nothing") {
  metric_reader reader;
  bool evaluated = false;
  const auto value = [&] { return evaluated = true, 1; };
  OTLPKIT_COUNTER("off", {"a", value()}).add(value());
  views.add();
  views.bind({{"off", 1}}).add();
  CHECK_FALSE(evaluated);
  CHECK(reader.collect(1).empty());
}

TEST_CASE("a macro measures for the scope around it") {
  const recording on;
  metric_reader reader;
  shop::view();
  const auto out = reader.collect(1);
  REQUIRE(out.size() == 1);
  CHECK(out[0].scope.find("shop") != std::string::npos);
  CHECK(named(out, "scoped.views").points.at(0).integer == 1);
}

TEST_CASE("a million label sets stay within the limit and lose no count") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::counter<std::int64_t> flood{"flood"};
  constexpr int users = 1'000'000, threads = 4;
  const std::int64_t before = otlpkit::platform_host::usage().resident_bytes.value_or(0);
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&flood, t] {
      for (int i = t; i < users; i += threads) flood.add(1, {{"user", std::to_string(i)}});
    });
  }
  for (std::thread& t : all) t.join();
  // A series takes some 300 bytes: a million of them would be ten times what is allowed here.
  CHECK(otlpkit::platform_host::usage().resident_bytes.value_or(0) - before < 32 << 20);
  const metric m = named(reader.collect(1), "flood");
  CHECK(m.points.size() == 2001);
  CHECK(sum_of(m) == users);
  const auto overflow =
      std::find_if(m.points.begin(), m.points.end(), [](auto& p) { return p.labels.contains("otel.metric.overflow"); });
  REQUIRE(overflow != m.points.end());
  CHECK(overflow->labels.size() == 1);
  CHECK(overflow->labels.at("otel.metric.overflow") == "true");
  CHECK(overflow->integer == users - 2000);
  CHECK(said.count("\"flood\"") == 1);
}

TEST_CASE("exactly the limit of label sets does not overflow, and oversized labels count as overflow") {
  const recording on;
  const diagnostics said;
  metric_reader reader{{.cardinality_limit = 3}};
  otlpkit::counter<std::int64_t> c{"limited"};
  c.add();
  for (int i = 0; i < 2; ++i) c.add(1, {{"i", i}});
  CHECK(named(reader.collect(1), "limited").points.size() == 3);
  c.add(1, {{"i", 9}});
  c.add(1, {{"i", 0}});
  CHECK(named(reader.collect(1), "limited").points.size() == 4);
  otlpkit::counter<std::int64_t> large{"large"};
  large.add(1, {{"text", std::string(100'000, 'x')}});
  CHECK(named(reader.collect(1), "large").points.at(0).labels.contains("otel.metric.overflow"));
}

TEST_CASE("a thread finds its cells of instruments that were made after it had begun to measure") {
  const recording on;
  metric_reader reader;
  const auto on_own_thread = [](auto work) { std::thread{work}.join(); };
  std::vector<std::unique_ptr<otlpkit::counter<std::int64_t>>> later;
  on_own_thread([&] {
    views.add();  // has room for those there are now
    on_own_thread([&] {
      for (int i = 0; i < 300; ++i) {
        later.push_back(std::make_unique<otlpkit::counter<std::int64_t>>("later." + std::to_string(i)));
        later.back()->add(i);
      }
    });
    for (int round = 0; round < 2; ++round) {
      for (const auto& c : later) c->add();
    }
  });
  const auto out = reader.collect(9);
  for (int i = 0; i < 300; ++i) {
    CAPTURE(i);
    CHECK(sum_of(named(out, "later." + std::to_string(i))) == i + 2);
  }
}
