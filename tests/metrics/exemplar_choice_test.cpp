// SPDX-License-Identifier: MIT
#include <otlpkit/core/errors.hpp>
#include <otlpkit/metrics/instruments.hpp>
#include <otlpkit/sdk/metric_plan.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <doctest/doctest.h>
#include <support/metric_points.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using metric_points::by;
using metric_points::named;
using metric_points::point;
using metric_points::recording;
using otlpkit::exemplar_filter;
using otlpkit::metric_view;
using otlpkit::temporality_preference;
using otlpkit::sdk::metric_plan;
using otlpkit::sdk::metric_reader;

namespace {

struct views {
  explicit views(const std::vector<metric_view>& all) { metric_plan::use(all, {}); }
  ~views() { metric_plan::use({}, {}); }
};
struct all_exemplars {
  all_exemplars() {
    otlpkit::detail::global_runtime.clock.calibrate();
    otlpkit::sdk::use_exemplars(exemplar_filter::always_on);
  }
  ~all_exemplars() { otlpkit::sdk::use_exemplars(exemplar_filter::always_off); }
};

std::set<double> values(const point& p) {
  std::set<double> out;
  for (const auto& e : p.exemplars) out.insert(e.real);
  return out;
}

/// The largest measurement of a series, and how often it was asked.
struct largest final : otlpkit::exemplar_chooser {
  double most = -1;
  std::vector<std::string>* seen;
  explicit largest(std::vector<std::string>* s) : seen{s} {}
  std::uint32_t size() const noexcept override { return 1; }
  std::uint32_t offer(const otlpkit::exemplar_candidate& c) noexcept override {
    for (otlpkit::wire::reader f{c.attributes}; f.next();) {
      const otlpkit::field_view pair{f.bytes()};
      seen->push_back(std::string{pair.key} + "=" + metric_points::text_of(pair.value));
    }
    if (c.time < 1'600'000'000'000'000'000u || c.value <= most) return nowhere;
    most = c.value;
    return 0;
  }
  void collected() noexcept override { most = -1; }
};

}  // namespace

TEST_CASE("a view chooses how many exemplars there are, or one for each bucket, or none") {
  const recording on;
  const all_exemplars exemplars;
  const views v{{{.match = {.name = "r.fixed"}, .exemplars = otlpkit::exemplars::fixed_size(3)},
                 {.match = {.name = "r.count"}, .exemplars = otlpkit::exemplars::fixed_size(4)},
                 {.match = {.name = "r.buckets"}, .exemplars = otlpkit::exemplars::by_bucket()},
                 {.match = {.name = "r.none"}, .exemplars = otlpkit::exemplars::none()}}};
  metric_reader reader;
  otlpkit::histogram fixed{"r.fixed", {.bounds = {1, 2, 3, 4}}}, buckets{"r.buckets", {.bounds = {10, 20}}},
      none{"r.none"};
  otlpkit::counter<double> count{"r.count"};
  for (int i = 0; i < 30; ++i) {
    fixed.record(i);
    buckets.record(i);
    none.record(i);
    count.add(i);
  }
  const auto out = reader.collect(1);
  CHECK(values(named(out, "r.fixed").points.at(0)).size() == 3);
  CHECK(values(named(out, "r.count").points.at(0)).size() == 4);
  CHECK(named(out, "r.none").points.at(0).exemplars.empty());
  std::map<int, int> in_bucket;
  for (const double d : values(named(out, "r.buckets").points.at(0))) ++in_bucket[d <= 10 ? 0 : d <= 20 ? 1 : 2];
  CHECK(in_bucket == std::map<int, int>{{0, 1}, {1, 1}, {2, 1}});
}

TEST_CASE("exemplars of several threads share the places there are") {
  const recording on;
  const all_exemplars exemplars;
  const views v{{{.match = {.name = "r.shared"}, .exemplars = otlpkit::exemplars::fixed_size(4)}}};
  metric_reader reader;
  otlpkit::counter<double> count{"r.shared"};
  for (int n = 1; n <= 4; ++n) std::thread{[&count, n] { count.add(n); }}.join();
  CHECK(values(named(reader.collect(1), "r.shared").points.at(0)) == std::set<double>{1, 2, 3, 4});
}

TEST_CASE("a chooser of one's own sees every measurement of its series with its attributes, whatever thread made it") {
  const recording on;
  const all_exemplars exemplars;
  std::vector<std::string> seen;
  int made = 0;
  const views v{{{.match = {.name = "r.own"}, .keep = {"a"}, .exemplars = otlpkit::exemplars::own([&] {
                                                               ++made;
                                                               return std::make_unique<largest>(&seen);
                                                             })}}};
  metric_reader reader{{.temporality = temporality_preference::delta}};
  otlpkit::histogram h{"r.own"};
  h.record(3, {{"a", "x"}, {"user", "ada"}});
  std::thread{[&] { h.record(9, {{"a", "x"}, {"user", "bob"}}); }}.join();
  h.record(5, {{"a", "x"}, {"user", "cy"}});
  h.record(1, {{"a", "y"}});
  auto points = by(named(reader.collect(1), "r.own"), "a");
  REQUIRE(points["x"].exemplars.size() == 1);
  CHECK(points["x"].exemplars[0].real == 9);
  CHECK(points["x"].exemplars[0].labels == std::map<std::string, std::string>{{"user", "bob"}});
  CHECK(values(points["y"]) == std::set<double>{1});
  CHECK(made == 2);
  CHECK(seen == std::vector<std::string>{"a=x", "user=ada", "a=x", "user=bob", "a=x", "user=cy", "a=y"});
  h.record(2, {{"a", "x"}});
  CHECK(values(by(named(reader.collect(2), "r.own"), "a")["x"]) == std::set<double>{2});
}

TEST_CASE("threads that offer to one chooser while readers collect keep it consistent") {
  const recording on;
  const all_exemplars exemplars;
  std::vector<std::string> seen;
  seen.reserve(20'000);
  const views v{{{.match = {.name = "r.busy"},
                  .exemplars = otlpkit::exemplars::own([&] { return std::make_unique<largest>(&seen); })}}};
  metric_reader reader;
  otlpkit::counter<double> c{"r.busy"};
  std::vector<std::thread> threads;
  for (int n = 0; n < 3; ++n) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) c.add(i, {{"k", 1}});
    });
  }
  for (int i = 0; i < 20; ++i) static_cast<void>(reader.collect(1));
  for (std::thread& t : threads) t.join();
  const point p = named(reader.collect(2), "r.busy").points.at(0);
  CHECK(p.real == 3.0 * 1999 * 1000);
  CHECK(p.exemplars.size() == 1);
  CHECK(seen.size() <= 6000);
}

TEST_CASE("a chooser that names a place it does not have keeps nothing, and one that cannot be made neither") {
  struct wrong final : otlpkit::exemplar_chooser {
    std::uint32_t size() const noexcept override { return 2; }
    std::uint32_t offer(const otlpkit::exemplar_candidate& c) noexcept override {
      return static_cast<std::uint32_t>(c.value);
    }
  };
  const recording on;
  const all_exemplars exemplars;
  const views v{
      {{.match = {.name = "r.wrong"}, .exemplars = otlpkit::exemplars::own([] { return std::make_unique<wrong>(); })},
       {.match = {.name = "r.unmade"},
        .exemplars = otlpkit::exemplars::own(
            []() -> std::unique_ptr<otlpkit::exemplar_chooser> { throw std::runtime_error{"no"}; })}}};
  metric_reader reader;
  otlpkit::counter<double> c{"r.wrong"}, unmade{"r.unmade"};
  for (const double d : {1.0, 2.0, 3.0, 1e9}) {
    c.add(d);
    unmade.add(d);
  }
  const auto out = reader.collect(1);
  CHECK(values(named(out, "r.wrong").points.at(0)) == std::set<double>{1});
  CHECK(named(out, "r.unmade").points.at(0).exemplars.empty());
  CHECK(named(out, "r.unmade").points.at(0).real == 1e9 + 6);
}

TEST_CASE("exemplar choices that cannot be are refused by name") {
  using otlpkit::sdk::check_views;
  CHECK_THROWS_WITH_AS(check_views({{.exemplars = otlpkit::exemplars::fixed_size(0)}}),
                       doctest::Contains("views[0].exemplars"), otlpkit::config_error);
  CHECK_THROWS_WITH_AS(check_views({{}, {.exemplars = otlpkit::exemplars::own({})}}),
                       doctest::Contains("views[1].exemplars"), otlpkit::config_error);
}
