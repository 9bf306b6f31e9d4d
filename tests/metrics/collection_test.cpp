// SPDX-License-Identifier: MIT
#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/console_metrics.hpp>
#include <otlpkit/metrics/macros.hpp>
#include <otlpkit/metrics/observable.hpp>
#include <otlpkit/sdk/batch_builder.hpp>
#include <otlpkit/sdk/metric_plan.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <doctest/doctest.h>
#include <support/metric_points.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using metric_points::by;
using metric_points::diagnostics;
using metric_points::metric;
using metric_points::named;
using metric_points::point;
using metric_points::recording;
using otlpkit::aggregation;
using otlpkit::instrument_kind;
using otlpkit::metric_view;
using otlpkit::temporality_preference;
using otlpkit::sdk::metric_plan;
using otlpkit::sdk::metric_reader;

namespace {

struct views {
  explicit views(std::vector<metric_view> all, metric_plan::defaults kinds = {}) { metric_plan::use(all, {}, kinds); }
  ~views() { metric_plan::use({}, {}); }
};
}  // namespace

TEST_CASE("a view leaves the smallest and the largest value out") {
  const recording on;
  const views v{{{.match = {.name = "x.explicit"}, .aggregation = aggregation::explicit_bounds({1}, false)},
                 {.match = {.name = "x.exponential"}, .aggregation = aggregation::exponential(160, 20, false)}}};
  metric_reader reader;
  otlpkit::histogram a{"x.explicit"}, b{"x.exponential"}, c{"x.default"};
  for (const auto* h : {&a, &b, &c}) h->record(3);
  const auto out = reader.collect(1);
  CHECK_FALSE(named(out, "x.explicit").points.at(0).has_extremes);
  CHECK_FALSE(named(out, "x.exponential").points.at(0).has_extremes);
  CHECK(named(out, "x.default").points.at(0).has_extremes);
}

TEST_CASE("an instrument keeps the attributes it advises, unless a view says which") {
  const recording on;
  const diagnostics said;
  const views v{
      {{.match = {.name = "adv.view"}, .keep = {"b"}}, {.match = {.name = "adv.renamed"}, .name = "adv.other"}}};
  static constexpr std::string_view keys[] = {"a", ""};
  metric_reader reader;
  otlpkit::counter<std::int64_t> plain{"adv.plain", {.attributes = keys}}, viewed{"adv.view", {.attributes = keys}},
      renamed{"adv.renamed", {.attributes = keys}};
  otlpkit::histogram h{"adv.h", {.attributes = keys}};
  otlpkit::observable_gauge<std::int64_t> g{"adv.g",
                                            [](auto& out) {
                                              out.observe(7, {{"a", 1}, {"b", 2}});
                                            },
                                            {.attributes = keys}};
  for (const char* user : {"ada", "bob"}) {
    plain.add(1, {{"a", 1}, {"b", user}});
    viewed.add(1, {{"a", 1}, {"b", user}});
    renamed.add(1, {{"a", 1}, {"b", user}});
    h.record(1, {{"a", 1}, {"b", user}});
    plain.bind({{"a", 1}, {"b", user}}).add(10);
  }
  const auto out = reader.collect(1);
  using labels = std::map<std::string, std::string>;
  REQUIRE(named(out, "adv.plain").points.size() == 1);
  CHECK(named(out, "adv.plain").points[0].labels == labels{{"a", "1"}});
  CHECK(named(out, "adv.plain").points[0].integer == 22);
  CHECK(by(named(out, "adv.view"), "b").size() == 2);
  CHECK(named(out, "adv.view").points[0].labels.size() == 1);
  CHECK(named(out, "adv.other").points.at(0).labels == labels{{"a", "1"}});
  CHECK(named(out, "adv.h").points.at(0).labels == labels{{"a", "1"}});
  CHECK(named(out, "adv.g").points.at(0).labels == labels{{"a", "1"}});
  CHECK(said.count("advised") == 0);
  static constexpr std::string_view others[] = {"c"};
  const otlpkit::counter<std::int64_t> again{"adv.plain", {.attributes = others}};
  CHECK(said.count("other advised attributes") == 1);
}

TEST_CASE("kinds of instruments get another default aggregation, which views still override") {
  const recording on;
  const views v{{{.match = {.name = "k.viewed"}, .aggregation = aggregation::explicit_bounds({5})}},
                {{instrument_kind::histogram, aggregation::explicit_bounds({1, 2})},
                 {instrument_kind::up_down_counter, aggregation::drop()},
                 {instrument_kind::counter, aggregation::exponential(40, 3)}}};
  metric_reader reader;
  otlpkit::histogram h{"k.h"}, viewed{"k.viewed"};
  otlpkit::up_down_counter<std::int64_t> dropped{"k.dropped"};
  otlpkit::counter<std::int64_t> spread{"k.spread"};
  h.record(1.5);
  viewed.record(1.5);
  dropped.add(1);
  spread.add(7);
  const auto out = reader.collect(1);
  CHECK(named(out, "k.h").points.at(0).bounds == std::vector<double>{1, 2});
  CHECK(named(out, "k.viewed").points.at(0).bounds == std::vector<double>{5});
  CHECK(named(out, "k.dropped").points.empty());
  CHECK(named(out, "k.spread").data == 10);
  CHECK(named(out, "k.spread").points.at(0).scale == 3);
  CHECK_THROWS_WITH_AS(
      otlpkit::sdk::check_aggregations({{instrument_kind::observable_gauge, aggregation::exponential()}}),
      doctest::Contains("metrics.aggregations[0]"), otlpkit::config_error);
}

TEST_CASE("a reader's limit of label sets holds where a view has none of its own") {
  const recording on;
  const views v{{{.match = {.name = "l.own"}, .cardinality_limit = 5}}};
  metric_reader reader{{.cardinality_limit = 3}};
  otlpkit::counter<std::int64_t> readers{"l.reader"}, own{"l.own"};
  for (int i = 0; i < 20; ++i) {
    readers.add(1, {{"i", i}});
    own.add(1, {{"i", i}});
  }
  const auto out = reader.collect(1);
  CHECK(named(out, "l.reader").points.size() == 4);
  CHECK(named(out, "l.own").points.size() == 6);
  CHECK(by(named(out, "l.reader"), "otel.metric.overflow")["true"].integer == 17);
}

TEST_CASE("a collection comes in pieces of as many data points as a request may have, with all points once") {
  const recording on;
  metric_reader reader{{.max_points = 10}};
  otlpkit::counter<std::int64_t> many{"p.many"}, few{"p.few"};
  otlpkit::observable_counter<std::int64_t> seen{"p.seen", [](auto& out) {
                                                   for (int i = 0; i < 25; ++i) out.observe(i, {{"i", i}});
                                                 }};
  for (int i = 0; i < 25; ++i) many.add(i + 1, {{"i", i}});
  few.add(1);
  auto pieces = reader.collect(1);
  std::size_t points = 0;
  std::int64_t sum = 0;
  for (const auto& piece : pieces) {
    CHECK(piece.count <= 10);
    points += piece.count;
    for (const metric& m : metric_points::decode({&piece, 1})) {
      for (const point& p : m.points) sum += m.name == "p.many" ? p.integer : 0;
    }
  }
  CHECK(points >= 51);
  CHECK(points == reader.points());
  CHECK(sum == 25 * 26 / 2);
  std::size_t batches = 0, handed_out = 0;
  otlpkit::sdk::split(std::move(pieces), 20, [&](const std::vector<otlpkit::sdk::scope_items>& part) {
    std::size_t items = 0;
    for (const auto& piece : part) items += piece.count;
    CHECK(items <= 20);
    handed_out += items;
    ++batches;
  });
  CHECK(handed_out == points);
  CHECK(batches < points / 10);
}

TEST_CASE("the console prints a line for each data point, and says when it could not") {
  using otlpkit::exporters::console_metrics;
  const recording on;
  const views v{{{.match = {.name = "con.spread"}, .aggregation = aggregation::exponential()}}};
  const otlpkit::instrumentation_scope scope{"shop"};
  metric_reader reader;
  const otlpkit::counter<std::int64_t> sold{"con.sold", {.unit = "{item}", .scope = &scope}};
  const otlpkit::up_down_counter<double> open{"con.open", {.scope = &scope}};
  const otlpkit::gauge<double> level{"con.level", {.unit = "Cel", .scope = &scope}};
  const otlpkit::histogram took{"con.took", {.unit = "s", .scope = &scope, .bounds = {1}}},
      spread{"con.spread", {.scope = &scope}};
  sold.add(3, {{"title", "a\nb"}, {"n", 1}});
  open.add(-1.5);
  level.set(0.25);
  for (const double s : {0.25, 0.5}) {
    took.record(s);
    spread.record(s);
  }
  std::vector<otlpkit::sdk::scope_items> mine;
  for (auto& s : reader.collect(1)) {
    if (s.scope.find("shop") != s.scope.npos) mine.push_back(std::move(s));
  }
  const auto batch = std::make_shared<const otlpkit::sdk::batch>(
      otlpkit::sdk::signal::metrics, std::make_shared<const std::string>(), std::move(mine));
  std::string lines;
  bool broken = false;
  console_metrics console{{.sink = [&](std::string_view text) {
    lines = text;
    return !broken;
  }}};
  otlpkit::sdk::export_result result;
  console.send(batch, [&](otlpkit::sdk::export_result r) { result = r; });
  CHECK(lines ==
        "con.sold {item} (counter)  title=\"a\\nb\" n=1  3 [shop]\n"
        "con.open (sum)  -1.5 [shop]\n"
        "con.level Cel (gauge)  0.25 [shop]\n"
        "con.took s (histogram)  count=2 sum=0.75 min=0.25 max=0.5 [shop]\n"
        "con.spread (histogram)  count=2 sum=0.75 min=0.25 max=0.5 [shop]\n");
  CHECK(result.dropped == 0);
  broken = true;
  const diagnostics said;
  console.send(batch, [&](otlpkit::sdk::export_result r) { result = r; });
  CHECK(result.dropped == 5);
  CHECK(result.reason == otlpkit::sdk::drop_reason::failed);
  CHECK(said.count("could not be written") == 1);
}

namespace {

/// Metrics of a library that counts by itself.
struct foreign final : otlpkit::sdk::metric_producer {
  bool fails = false;
  void produce(otlpkit::sdk::foreign_metrics& out) override {
    out.scope("other.library", "2.1");
    out.counter({"f.count", "{thing}", "Things"}, std::int64_t{7}, {{"a", "x"}}, 5);
    out.counter({"f.count", "{thing}", "Things"}, std::int64_t{8}, {{"a", "y"}}, 5);
    out.gauge({"f.level"}, 0.5);
    if (fails) throw std::runtime_error{"gone"};
    const double bounds[] = {1, 2};
    const std::uint64_t counts[] = {3, 0, 4};
    out.histogram({"f.spread", "s"}, {bounds, counts, 12.5}, {{"a", "x"}});
    out.histogram({"f.wrong"}, {bounds, {counts, 2}, 1});
    out.up_down_counter({"f.waiting"}, -3.5);
  }
};

/// Drops by name and by label.
struct some final : otlpkit::sdk::metric_filter {
  verdict test_metric(const otlpkit::sdk::filtered_metric& m) override {
    asked.push_back(std::string{m.scope} + "/" + std::string{m.name} + "/" + std::string{m.unit});
    return m.name == "f.level" || m.name == "own.dropped" ? verdict::drop
           : m.name.ends_with("count")                    ? verdict::accept_partly
                                                          : verdict::accept;
  }
  bool test_attributes(const otlpkit::sdk::filtered_metric&, std::string_view attributes) override {
    for (otlpkit::wire::reader f{attributes}; f.next();) {
      if (const otlpkit::field_view pair{f.bytes()}; pair.key == "a" && pair.value.as_string() == "y") return false;
    }
    return true;
  }
  std::vector<std::string> asked;
};

}  // namespace

TEST_CASE("metrics of another library join a collection, and what fails there spoils nothing") {
  const recording on;
  const diagnostics said;
  const auto producer = std::make_shared<foreign>();
  metric_reader reader{{.producers = {producer}}};
  const otlpkit::counter<std::int64_t> own{"own.beside"};
  own.add(1);
  auto out = reader.collect(99);
  CHECK(named(out, "own.beside").points.size() == 1);
  const metric count = named(out, "f.count");
  CHECK(count.data == 7);
  CHECK(count.monotonic);
  CHECK(count.temporality == 2);
  CHECK(count.unit == "{thing}");
  CHECK(count.description == "Things");
  REQUIRE(count.points.size() == 2);
  CHECK(count.points[0].integer == 7);
  CHECK(count.points[0].start == 5);
  CHECK(count.points[0].time == 99);
  CHECK(by(count, "a")["y"].integer == 8);
  CHECK(named(out, "f.level").data == 5);
  CHECK(named(out, "f.level").points.at(0).real == 0.5);
  const point spread = named(out, "f.spread").points.at(0);
  CHECK(spread.count == 7);
  CHECK(spread.sum == 12.5);
  CHECK(spread.counts == std::vector<std::uint64_t>{3, 0, 4});
  CHECK(spread.bounds == std::vector<double>{1, 2});
  CHECK(spread.labels.at("a") == "x");
  CHECK(named(out, "f.wrong").points.empty());
  CHECK_FALSE(named(out, "f.waiting").monotonic);
  CHECK(named(out, "f.waiting").points.at(0).real == -3.5);
  std::size_t points = 0;
  for (const auto& scope : out) points += scope.count;
  CHECK(points == reader.points());
  CHECK(out.back().scope.find("other.library") != std::string::npos);

  producer->fails = true;
  out = reader.collect(100);
  static_cast<void>(reader.collect(101));
  CHECK(named(out, "f.count").points.size() == 2);
  CHECK(named(out, "own.beside").points.size() == 1);
  CHECK(said.count("a metric producer threw: gone") == 1);
}

TEST_CASE("a filter decides which metrics and points are collected, of instruments and of producers alike") {
  const recording on;
  const auto filter = std::make_shared<some>();
  metric_reader reader{
      {.temporality = temporality_preference::delta, .producers = {std::make_shared<foreign>()}, .filter = filter}};
  const otlpkit::instrumentation_scope scope{"my.scope"};
  const otlpkit::counter<std::int64_t> dropped{"own.dropped"}, partly{"own.count", {.unit = "1", .scope = &scope}};
  const otlpkit::observable_gauge<std::int64_t> gauge{"seen.count", [](auto& out) {
                                                        out.observe(1, {{"a", "y"}}), out.observe(2, {{"a", "z"}});
                                                      }};
  dropped.add(1);
  partly.add(1, {{"a", "x"}});
  partly.add(2, {{"a", "y"}});
  auto out = reader.collect(1);
  CHECK(named(out, "own.dropped").points.empty());
  CHECK(named(out, "own.count").points.size() == 1);
  CHECK(named(out, "own.count").points[0].integer == 1);
  CHECK(named(out, "seen.count").points.at(0).integer == 2);
  CHECK(named(out, "f.level").points.empty());
  CHECK(named(out, "f.count").points.size() == 1);
  CHECK(named(out, "f.spread").points.size() == 1);
  CHECK(std::ranges::count(filter->asked, "my.scope/own.count/1") == 1);
  CHECK(std::ranges::count(filter->asked, "other.library/f.count/{thing}") == 1);
  partly.add(5, {{"a", "y"}});
  partly.add(1, {{"a", "x"}});
  CHECK(named(reader.collect(2), "own.count").points.at(0).integer == 1);  // what was passed over does not pile up
}
