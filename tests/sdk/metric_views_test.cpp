// SPDX-License-Identifier: MIT
#include <otlpkit/core/errors.hpp>
#include <otlpkit/metrics/macros.hpp>
#include <otlpkit/metrics/observable.hpp>
#include <otlpkit/sdk/metric_plan.hpp>
#include <otlpkit/sdk/metric_pull.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <doctest/doctest.h>
#include <support/metric_points.hpp>

#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using metric_points::by;
using metric_points::decode;
using metric_points::diagnostics;
using metric_points::metric;
using metric_points::named;
using metric_points::point;
using metric_points::recording;
using otlpkit::aggregation;
using otlpkit::histogram_aggregation;
using otlpkit::instrument_kind;
using otlpkit::metric_view;
using otlpkit::temporality_preference;
using otlpkit::sdk::metric_plan;
using otlpkit::sdk::metric_reader;

namespace {
/// Views that are in force as long as this lives.
struct views {
  explicit views(std::vector<metric_view> all, histogram_aggregation histograms = {}) {
    metric_plan::use(all, histograms);
  }
  ~views() { metric_plan::use({}, {}); }
};
}  // namespace

TEST_CASE("names match patterns in any case") {
  using otlpkit::sdk::matches_pattern;
  CHECK(matches_pattern("http.*", "HTTP.server.duration"));
  CHECK(matches_pattern("*", ""));
  CHECK(matches_pattern("*duration", "http.duration.duration"));
  CHECK(matches_pattern("a?c*", "abcd"));
  CHECK_FALSE(matches_pattern("http.*", "http"));
  CHECK_FALSE(matches_pattern("a?c", "ac"));
  CHECK_FALSE(matches_pattern("a*b", "abc"));
}

TEST_CASE("a view renames, describes, keeps or drops labels, aggregates anew or drops all") {
  const views v{{{.match = {.name = "v.renamed"}, .name = "v.other", .description = "said by the view"},
                 {.match = {.name = "v.kept"}, .keep = {"a"}},
                 {.match = {.name = "v.dropping"}, .drop = {"user"}},
                 {.match = {.name = "v.none"}, .keep = otlpkit::attribute_keys::none()},
                 {.match = {.name = "v.gone*"}, .aggregation = aggregation::drop()},
                 {.match = {.name = "v.summed"}, .aggregation = aggregation::sum()},
                 {.match = {.name = "v.bounds"}, .aggregation = aggregation::explicit_bounds({1, 2})},
                 {.match = {.name = "v.spread"}, .aggregation = aggregation::exponential()}}};
  const recording on;
  metric_reader reader;
  otlpkit::counter<std::int64_t> renamed{"v.renamed"}, kept{"v.kept"}, dropping{"v.dropping"}, none{"v.none"},
      gone{"v.gone.far"};
  otlpkit::histogram summed{"v.summed"}, bounds{"v.bounds", {.bounds = {7}}};
  otlpkit::up_down_counter<std::int64_t> spread{"v.spread"};
  renamed.add(1);
  for (const char* user : {"ada", "bob", "cy"}) {
    kept.add(1, {{"user", user}, {"a", 1}});
    dropping.add(1, {{"user", user}, {"a", 1}, {"b", 2}});
    none.add(1, {{"user", user}});
    none.bind({{"bound", user}}).add(10);
    OTLPKIT_COUNTER("v.gone").add();
    gone.add(1, {{"user", user}});
  }
  summed.record(2.5);
  summed.record(3);
  bounds.record(1.5);
  spread.add(-3);
  spread.add(5);
  const auto out = reader.collect(1);
  CHECK(named(out, "v.renamed").points.empty());
  CHECK(named(out, "v.other").points.at(0).integer == 1);
  CHECK(named(out, "v.other").description == "said by the view");
  REQUIRE(named(out, "v.kept").points.size() == 1);
  CHECK(named(out, "v.kept").points[0].labels == std::map<std::string, std::string>{{"a", "1"}});
  CHECK(named(out, "v.kept").points[0].integer == 3);
  CHECK(named(out, "v.dropping").points.at(0).labels == std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});
  CHECK(named(out, "v.none").points.at(0).labels.empty());
  CHECK(named(out, "v.none").points.at(0).integer == 33);
  CHECK(named(out, "v.gone").points.empty());
  CHECK(named(out, "v.gone.far").points.empty());
  CHECK(named(out, "v.summed").data == 7);
  CHECK(named(out, "v.summed").monotonic);
  CHECK(named(out, "v.summed").points.at(0).real == 5.5);
  CHECK(named(out, "v.bounds").points.at(0).counts == std::vector<std::uint64_t>{0, 1, 0});
  const point p = named(out, "v.spread").points.at(0);
  CHECK(p.count == 2);
  CHECK(p.below.size() == 1);
  CHECK_FALSE(p.has_sum);
}

TEST_CASE("views select by kind, unit and scope, and all that is given must match") {
  static const otlpkit::instrumentation_scope one{"lib.one", "1", "https://one"}, two{"lib.two"};
  const views v{{{.match = {.kind = instrument_kind::gauge, .unit = "By", .scope_name = "lib.one"},
                  .keep = otlpkit::attribute_keys::none()},
                 {.match = {.name = "s.*", .scope_version = "1", .scope_schema_url = "https://one"}, .drop = {"a"}}}};
  const recording on;
  metric_reader reader;
  otlpkit::gauge<double> match{"g.one", {.unit = "By", .scope = &one}}, unit{"g.unit", {.unit = "s", .scope = &one}},
      scope{"g.scope", {.unit = "By", .scope = &two}};
  otlpkit::counter<std::int64_t> kind{"g.kind", {.unit = "By", .scope = &one}}, by_url{"s.one", {.scope = &one}},
      by_name{"s.two", {.scope = &two}};
  match.set(1, {{"a", 1}});
  unit.set(1, {{"a", 1}});
  scope.set(1, {{"a", 1}});
  kind.add(1, {{"a", 1}});
  by_url.add(1, {{"a", 1}});
  by_name.add(1, {{"a", 1}});
  const auto out = reader.collect(1);
  CHECK(named(out, "g.one").points.at(0).labels.empty());
  CHECK(named(out, "s.one").points.at(0).labels.empty());
  for (const char* name : {"g.unit", "g.scope", "g.kind", "s.two"})
    CHECK(named(out, name).points.at(0).labels.size() == 1);
}

TEST_CASE("each matching view makes a stream of its own, with its own limit") {
  const views v{
      {{.match = {.name = "m.one"}, .name = "m.by_route", .keep = {"route"}},
       {.match = {.name = "m.*"}, .aggregation = aggregation::explicit_bounds({10}), .cardinality_limit = 2}}};
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::histogram h{"m.one"};
  const auto bound = h.bind({{"route", "/c"}, {"user", 0}});
  for (int i = 0; i < 6; ++i) h.record(i * 4, {{"route", i % 2 == 0 ? "/a" : "/b"}, {"user", i}});
  bound.record(100);
  const auto out = reader.collect(1);
  const auto routes = by(named(out, "m.by_route"), "route");
  REQUIRE(routes.size() == 3);
  CHECK(routes.at("/a").sum == 24);
  CHECK(routes.at("/c").sum == 100);
  const metric all = named(out, "m.one");
  CHECK(all.points.size() == 3);
  double sum = 0;
  for (const point& p : all.points) sum += p.sum;
  CHECK(sum == 160);
  CHECK(all.points.at(0).bounds == std::vector<double>{10});
  CHECK(said.count("label sets") == 1);
}

TEST_CASE("a view on names that would make two streams one is said, and both are exported") {
  const views v{{{.match = {.name = "clash.a"}, .name = "clash.b"}}};
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::counter<std::int64_t> a{"clash.a"}, b{"clash.b"};
  a.add();
  b.add();
  CHECK(decode(reader.collect(1)).size() == 2);
  CHECK(said.count("\"clash.b\" is registered with another kind") == 1);
}

TEST_CASE("instruments, handles and threads from before follow views that come and go") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"late"};
  const auto bound = c.bind({{"a", 1}, {"b", 1}});
  c.add(1, {{"a", 1}, {"b", 2}});
  bound.add();
  for (int round = 0; round < 2; ++round) {
    {
      const views v{{{.match = {.name = "late"}, .name = "late.viewed", .keep = {"a"}}}};
      metric_reader reader;
      c.add(2);
      c.add(1, {{"a", 1}, {"b", 2}});
      bound.add(4);
      const auto out = reader.collect(1);
      CHECK(named(out, "late").points.empty());
      const auto points = by(named(out, "late.viewed"), "a");
      CHECK(points.at("1").integer == 5);
      CHECK(points.at("").integer == 2);
    }
    metric_reader reader;
    c.add(3, {{"a", 1}, {"b", 2}});
    bound.add(5);
    const metric m = named(reader.collect(1), "late");
    REQUIRE(m.points.size() == 2);
    CHECK(by(m, "b").at("2").integer == 3);
    CHECK(by(m, "b").at("1").integer == 5);
  }
}

TEST_CASE("what a view cannot mean is refused by name, or said and ignored") {
  using otlpkit::sdk::check_views;
  const auto refused = [](metric_view v) { CHECK_THROWS_AS(check_views({v}), otlpkit::config_error); };
  refused({.match = {.name = "a*"}, .name = "b"});
  refused({.name = "b"});
  refused({.keep = {"a"}, .drop = {"b"}});
  refused({.aggregation = aggregation::explicit_bounds({2, 1})});
  refused({.aggregation = aggregation::exponential(1)});
  refused({.aggregation = aggregation::exponential(160, 21)});
  refused({.cardinality_limit = 0});
  CHECK_NOTHROW(check_views({{.match = {.name = "a"}, .name = "b", .cardinality_limit = 1}}));

  const diagnostics said;
  const views v{{{.match = {.name = "wrong"}, .aggregation = aggregation::exponential()}}};
  metric_reader reader;
  otlpkit::observable_counter<std::int64_t> o{"wrong", [](auto& out) { out.observe(1); }};
  CHECK(named(reader.collect(1), "wrong").data == 7);
  CHECK(said.count("\"wrong\": a view wants an aggregation") == 1);
}

TEST_CASE("histograms are exponential where settings say so, but for views") {
  const views v{{{.match = {.name = "explicit.*"}, .aggregation = aggregation::explicit_bounds({1})}},
                histogram_aggregation::base2_exponential_bucket_histogram};
  const recording on;
  metric_reader reader;
  otlpkit::histogram e{"standard.h", {.bounds = {5}}}, x{"explicit.h"};
  e.record(1);
  x.record(1);
  const auto out = reader.collect(1);
  CHECK(named(out, "standard.h").data == 10);
  CHECK(named(out, "explicit.h").data == 9);
}

TEST_CASE("observable instruments report what their callbacks say, and only that") {
  const recording on;
  metric_reader reader{{.start = 5}};
  std::vector<int> queues{3, 4};
  otlpkit::observable_counter<std::int64_t> bytes{"o.bytes", {.unit = "By"}};
  otlpkit::observable_up_down_counter<double> load{"o.load"};
  const otlpkit::metric_callback both{[&](otlpkit::observer& out) {
    out.observe(bytes, 100, {{"direction", "in"}});
    out.observe(bytes, 200, {{"direction", "out"}});
    out.observe(load, -0.5);
  }};
  {
    otlpkit::observable_gauge<std::int64_t> depth{"o.depth", [&](auto& out) {
                                                    for (std::size_t i = 0; i < queues.size(); ++i)
                                                      out.observe(queues[i], {{"queue", i}});
                                                  }};
    auto out = reader.collect(9);
    CHECK(named(out, "o.bytes").monotonic);
    CHECK(named(out, "o.bytes").unit == "By");
    CHECK(by(named(out, "o.bytes"), "direction").at("out").integer == 200);
    CHECK(named(out, "o.bytes").points.at(0).start == 5);
    CHECK(named(out, "o.load").points.at(0).real == -0.5);
    CHECK_FALSE(named(out, "o.load").monotonic);
    CHECK(named(out, "o.depth").data == 5);
    CHECK(named(out, "o.depth").points.size() == 2);
    queues.pop_back();
    out = reader.collect(10);
    REQUIRE(named(out, "o.depth").points.size() == 1);
    CHECK(named(out, "o.depth").points[0].integer == 3);
  }
  const auto out = reader.collect(11);
  CHECK(named(out, "o.depth").points.empty());
  CHECK(named(out, "o.bytes").points.size() == 2);
}

TEST_CASE("deltas of observable counters are differences, unless memory is to be low") {
  const recording on;
  metric_reader delta{{.temporality = temporality_preference::delta, .start = 1}},
      low{{.temporality = temporality_preference::lowmemory, .start = 1}};
  std::int64_t total = 0;
  otlpkit::observable_counter<std::int64_t> c{"o.delta", [&](auto& out) { out.observe(total); }};
  otlpkit::observable_up_down_counter<std::int64_t> u{"o.delta.u", [&](auto& out) { out.observe(total); }};
  for (const auto& [now, difference] : {std::pair{10, 10}, {25, 15}, {25, 0}, {4, 4}}) {
    total = now;
    const auto out = delta.collect(7);
    CHECK(named(out, "o.delta").temporality == 1);
    CHECK(named(out, "o.delta").points.at(0).integer == difference);
    CHECK(named(out, "o.delta.u").temporality == 2);
    CHECK(named(out, "o.delta.u").points.at(0).integer == now);
    const auto cumulative = low.collect(7);
    CHECK(named(cumulative, "o.delta").temporality == 2);
    CHECK(named(cumulative, "o.delta").points.at(0).integer == now);
  }
}

TEST_CASE("views and the limit fold observations") {
  const views v{{{.match = {.name = "o.folded"}, .keep = otlpkit::attribute_keys::none()}}};
  metric_reader reader{{.cardinality_limit = 3}};
  otlpkit::observable_counter<std::int64_t> folded{"o.folded"}, limited{"o.limited"};
  const otlpkit::metric_callback cb{[&](otlpkit::observer& out) {
    for (int i = 0; i < 10; ++i) out.observe(folded, i, {{"i", i}});
    for (int i = 0; i < 10; ++i) out.observe(limited, i, {{"i", i}});
    out.observe(limited, 100, {{"i", 0}});
  }};
  const auto out = reader.collect(1);
  REQUIRE(named(out, "o.folded").points.size() == 1);
  CHECK(named(out, "o.folded").points[0].integer == 45);
  const metric m = named(out, "o.limited");
  REQUIRE(m.points.size() == 4);
  CHECK(m.points[0].integer == 100);
  CHECK(m.points[3].labels.at("otel.metric.overflow") == "true");
  CHECK(m.points[3].integer == 42);
}

TEST_CASE("callbacks that throw, take too long, measure, or change the callbacks harm nobody") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::counter<std::int64_t> runs{"cb.runs"};
  otlpkit::observable_gauge<std::int64_t> throwing{"cb.throwing", [&](auto& out) {
                                                     out.observe(1);
                                                     runs.add();
                                                     throw std::runtime_error{"no sensor"};
                                                   }};
  std::optional<otlpkit::observable_gauge<std::int64_t>> made;
  const otlpkit::metric_callback changing{[&](otlpkit::observer&) {
    if (made) {
      made.reset();
    } else {
      made.emplace("cb.made", [](auto& out) { out.observe(2); });
    }
  }};
  for (int i = 0; i < 3; ++i) CHECK(named(reader.collect(1), "cb.throwing").points.at(0).integer == 1);
  CHECK(named(reader.collect(1), "cb.runs").points.at(0).integer == 4);
  CHECK(said.count("no sensor") == 1);
  CHECK_FALSE(made);

  metric_reader hurried{{.callback_time = 0}};
  CHECK(named(hurried.collect(1), "cb.throwing").points.empty());
  CHECK(said.count("longer than a collection may") == 1);
}

TEST_CASE("unregistering waits for a run under way, from any thread") {
  metric_reader reader;
  for (int i = 0; i < 200; ++i) {
    std::optional<std::vector<int>> state{std::vector<int>(100, i)};
    std::optional<otlpkit::metric_callback> cb{std::in_place, [&](otlpkit::observer&) { state->at(50) += 1; }};
    std::thread collector{[&] { static_cast<void>(reader.collect(1)); }};
    cb.reset();
    state.reset();
    collector.join();
  }
}

TEST_CASE("who pulls gets a whole request, cumulative, whatever other readers do") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"pulled"};
  otlpkit::sdk::metric_pull pull{std::make_shared<const std::string>("\x0A\x00", 2)};
  metric_reader delta{{.temporality = temporality_preference::delta}};
  c.add(2);
  static_cast<void>(delta.collect(1));
  c.add(3);
  const auto batch = pull.collect(9);
  std::string request;
  for (const std::string_view piece : batch->pieces()) request += piece;
  CHECK(request.size() == batch->bytes());
  CHECK(batch->items() == 1);
  CHECK(metric_points::decode({batch->scopes().begin(), batch->scopes().end()}).at(0).points.at(0).integer == 5);
}

TEST_CASE("several descriptions of one instrument are said, and the longest is exported") {
  const recording on;
  const diagnostics said;
  metric_reader reader;
  otlpkit::counter<std::int64_t> a{"described", {.description = "short"}},
      b{"described", {.description = "quite long"}}, c{"described"};
  a.add();
  CHECK(named(reader.collect(1), "described").description == "quite long");
  CHECK(said.count("\"described\" is registered with several descriptions") == 1);
}
