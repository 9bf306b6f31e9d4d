// SPDX-License-Identifier: MIT
#include <otlpkit/metrics/instruments.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <doctest/doctest.h>
#include <support/metric_points.hpp>
#include <support/otlp_bytes.hpp>

#include <atomic>
#include <bit>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using metric_points::metric;
using metric_points::named;
using metric_points::point;
using metric_points::recording;
using otlpkit::temporality_preference;
using otlpkit::sdk::metric_reader;

TEST_CASE("data points are the bytes of the golden vector") {
  const recording on;
  const otlpkit::instrumentation_scope lib{"lib"};
  metric_reader reader{{.temporality = temporality_preference::delta, .start = 1}};
  otlpkit::up_down_counter<std::int64_t> c{"c", {.unit = "1", .scope = &lib}};
  otlpkit::gauge<double> g{"g", {.scope = &lib}};
  otlpkit::histogram h{"h", {.scope = &lib, .bounds = {5}}};
  c.add(-5, {{"k", "v"}});
  g.set(0);
  h.record(0);
  h.record(9);
  const auto out = reader.collect(2);
  REQUIRE(out.size() == 1);
  CHECK(out[0].scope == otlp_bytes::unhex("0a050a036c6962"));
  CHECK(out[0].count == 3);
  using otlp_bytes::bytes;
  using otlp_bytes::unhex;
  // The points of the vector; its c is monotonic, and its h has an exemplar and a sum of 0.
  const std::string c_point = unhex("11010000000000000019020000000000000031fbffffffffffffff3a080a016b12030a0176");
  const std::string g_metric = unhex("12190a01672a140a12190200000000000000210000000000000000");
  const std::string h_point = unhex(
      "1101000000000000001902000000000000002102000000000000002900000000000022403210010000000000000001000000000000003a08"
      "00000000"
      "00001440590000000000000000610000000000002240");
  CHECK(out[0].items == bytes(2, bytes(1, "c") + bytes(3, "1") + bytes(7, bytes(1, c_point) + unhex("1002"))) +
                            g_metric + bytes(2, bytes(1, "h") + bytes(9, bytes(1, h_point) + unhex("1001"))));
}

TEST_CASE("cumulative repeats everything from one start, delta says what is new since the last collection") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"temporal"};
  otlpkit::up_down_counter<std::int64_t> u{"temporal.ud"};
  otlpkit::histogram h{"temporal.h"};
  metric_reader cumulative{{.start = 10}};
  metric_reader delta{{.temporality = temporality_preference::delta, .start = 10}};
  c.add(5);
  u.add(5);
  h.record(7);
  for (metric_reader* r : {&cumulative, &delta}) {
    const auto out = r->collect(20);
    CHECK(named(out, "temporal").points.at(0).integer == 5);
    CHECK(named(out, "temporal").points.at(0).start == 10);
    CHECK(named(out, "temporal.h").points.at(0).max == 7);
  }
  c.add(1);
  h.record(3);
  const auto all = cumulative.collect(30);
  const auto news = delta.collect(30);
  CHECK(named(all, "temporal").points.at(0).integer == 6);
  CHECK(named(all, "temporal").points.at(0).start == 10);
  CHECK(named(all, "temporal").temporality == 2);
  CHECK(named(all, "temporal.h").points.at(0).max == 7);
  CHECK(named(all, "temporal.h").points.at(0).min == 3);
  CHECK(named(news, "temporal").points.at(0).integer == 1);
  CHECK(named(news, "temporal").points.at(0).start == 20);
  CHECK(named(news, "temporal").temporality == 1);
  CHECK(named(news, "temporal.h").points.at(0).max == 3);
  CHECK(named(news, "temporal.h").points.at(0).sum == 3);
  CHECK(named(news, "temporal.ud").temporality == 2);
  CHECK(named(news, "temporal.ud").points.at(0).integer == 5);
  CHECK(named(delta.collect(40), "temporal").points.empty());
  CHECK(named(cumulative.collect(40), "temporal").points.at(0).integer == 6);
}

TEST_CASE("a cumulative point begins with its series, whenever it is collected") {
  const recording on;
  metric_reader cumulative;
  otlpkit::counter<std::int64_t> c{"begins"};
  const otlpkit::unix_ns before = otlpkit::platform::wall_ns();
  c.add(1);
  const otlpkit::unix_ns after = otlpkit::platform::wall_ns();
  for (otlpkit::unix_ns later = 1; later < 4; ++later) {
    const metric m = named(cumulative.collect(after + later), "begins");
    REQUIRE(m.points.size() == 1);
    CHECK(m.points[0].start >= before);
    CHECK(m.points[0].start <= after);
  }
}

TEST_CASE("adding zero reports a point, also in a delta") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"zero"};
  metric_reader delta{{.temporality = temporality_preference::delta}};
  for (int i = 0; i < 4; ++i) {  // the first of a thread, and others
    c.add(0, {{"a", 1}});
    const metric m = named(delta.collect(static_cast<otlpkit::unix_ns>(i) + 1), "zero");
    REQUIRE(m.points.size() == 1);
    CHECK(m.points[0].integer == 0);
  }
}

TEST_CASE("a reader reports nothing from before it was made") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"again"};
  otlpkit::histogram h{"again.h"};
  c.add(100);
  h.record(100);
  metric_reader second;
  CHECK(named(second.collect(1), "again").points.empty());
  c.add(1);
  h.record(2);
  const auto out = second.collect(2);
  CHECK(named(out, "again").points.at(0).integer == 1);
  CHECK(named(out, "again.h").points.at(0).count == 1);
  CHECK(named(out, "again.h").points.at(0).sum == 2);
  CHECK(named(out, "again.h").points.at(0).max == 2);
}

TEST_CASE("the last gauge value counts, whichever thread set it and whether that thread lives") {
  const recording on;
  otlpkit::detail::global_runtime.clock.calibrate();
  metric_reader reader;
  otlpkit::gauge<std::int64_t> g{"last"};
  const auto value = [&] { return named(reader.collect(1), "last").points.at(0).integer; };
  g.set(1);
  std::thread{[&] { g.set(2); }}.join();
  CHECK(value() == 2);
  g.set(3);
  CHECK(value() == 3);
  std::thread{[&] {
    g.set(4);
    CHECK(value() == 4);
  }}.join();
  CHECK(value() == 4);
}

TEST_CASE("sums and histograms equal a slow oracle, whatever the values") {
  const recording on;
  std::mt19937_64 random{7};
  const std::vector<double> edges{0,
                                  -0.0,
                                  5,
                                  std::nextafter(5, 6),
                                  std::nextafter(5, 4),
                                  1e308,
                                  -1e300,
                                  10000,
                                  10001,
                                  std::numeric_limits<double>::denorm_min(),
                                  -std::numeric_limits<double>::denorm_min(),
                                  std::numeric_limits<double>::min(),
                                  std::numeric_limits<double>::infinity(),
                                  -std::numeric_limits<double>::infinity(),
                                  std::numeric_limits<double>::quiet_NaN()};
  for (int round = 0; round < 60; ++round) {
    metric_reader cumulative, delta{{.temporality = temporality_preference::delta}};
    const std::string name = "oracle." + std::to_string(round);
    otlpkit::histogram h{name};
    otlpkit::up_down_counter<double> u{name + ".u"};
    otlpkit::up_down_counter<std::int64_t> whole{name + ".i"};
    otlpkit::counter<double> c{name + ".c"};
    otlpkit::gauge<double> g{name + ".g"};
    std::vector<double> kept, fresh;
    double sum = 0, upwards = 0, last = 0;
    std::uint64_t exact = 0;  // modulo 2^64, as the sum of integers is
    for (int collection = 0; collection < 4; ++collection) {
      fresh.clear();
      for (int i = 0; i < 200; ++i) {
        double v = random() % 4 == 0 ? edges[random() % edges.size()] : std::bit_cast<double>(random());
        if (random() % 2 == 0) v = static_cast<double>(random() % 12000);
        h.record(v);
        g.set(v);
        last = v;
        c.add(v);  // NaN, infinity and negative values are dropped
        const std::uint64_t n = random();
        whole.add(static_cast<std::int64_t>(n));
        exact += n;
        if (!std::isfinite(v)) continue;
        if (v >= 0) upwards += v;
        fresh.push_back(v);
        kept.push_back(v);
        if (std::abs(v) < 1e6) {
          u.add(v);
          sum += v;
        }
      }
      const auto compare = [&](const point& p, const std::vector<double>& values) {
        std::vector<std::uint64_t> counts(p.bounds.size() + 1);
        for (const double v : values) {
          std::size_t i = 0;
          while (i < p.bounds.size() && v > p.bounds[i]) ++i;
          ++counts[i];
        }
        CHECK(p.counts == counts);
        CHECK(p.count == values.size());
        CHECK(p.min == *std::min_element(values.begin(), values.end()));
        CHECK(p.max == *std::max_element(values.begin(), values.end()));
      };
      const auto all = cumulative.collect(1);
      compare(named(all, name).points.at(0), kept);
      double in_order = 0;
      for (const double v : kept) in_order += v;
      const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
      CHECK(same(named(all, name).points.at(0).sum, in_order));
      CHECK(same(named(all, name + ".c").points.at(0).real, upwards));
      CHECK(same(named(all, name + ".g").points.at(0).real, last));
      CHECK(named(all, name + ".i").points.at(0).integer == static_cast<std::int64_t>(exact));
      compare(named(delta.collect(1), name).points.at(0), fresh);
      CHECK(named(all, name + ".u").points.at(0).real == doctest::Approx(sum).epsilon(1e-12));
    }
  }
}

TEST_CASE("a value on a bound belongs to the bucket below it, for any number of bounds") {
  std::vector<double> ascending;
  for (std::size_t n = 0; n <= otlpkit::bucket_bounds::most; ++n) {
    const otlpkit::detail::bucket_search find{otlpkit::bucket_bounds(ascending.data(), n)};
    for (std::uint32_t i = 0; i <= n; ++i) {
      CHECK(find(i) == (i == 0 ? 0 : i - 1));
      CHECK(find(i + 0.5) == i);
    }
    ascending.push_back(static_cast<double>(n) + 1);
  }
}

TEST_CASE("extremes of threads that ended belong to the interval they were measured in") {
  const recording on;
  metric_reader cumulative, delta{{.temporality = temporality_preference::delta}};
  otlpkit::histogram h{"ended"};
  const auto expect = [&](double min, double max) {
    const point p = named(delta.collect(1), "ended").points.at(0);
    CHECK(p.min == min);
    CHECK(p.max == max);
  };
  std::thread{[&] { h.record(1); }}.join();
  std::thread{[&] { h.record(9); }}.join();
  expect(1, 9);
  std::thread{[&] { h.record(5); }}.join();
  std::thread{[&] {
    h.record(4);
    expect(4, 5);
    h.record(7);
  }}.join();
  expect(7, 7);
  CHECK(named(cumulative.collect(1), "ended").points.at(0).min == 1);
  CHECK(named(cumulative.collect(1), "ended").points.at(0).max == 9);
}

TEST_CASE("sums lose and double nothing while threads are born and die, series appear and readers collect") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"exact"};
  otlpkit::counter<double> d{"exact.d"};
  otlpkit::histogram h{"exact.h"};
  otlpkit::gauge<std::int64_t> g{"exact.g"};
  metric_reader cumulative{{.cardinality_limit = 50}},
      delta{{.temporality = temporality_preference::delta, .cardinality_limit = 50}};
  const auto bound = c.bind({{"bound", true}});
  constexpr int workers = 4, generations = 8, rounds = 500;
  std::atomic<bool> stop{false};
  std::map<std::string, std::int64_t> sums;
  double doubles = 0, histogram_sum = 0;
  std::uint64_t records = 0;
  bool bounded = true;
  const auto take = [&] {
    const auto out = delta.collect(1);
    for (const point& p : named(out, "exact").points) sums["all"] += p.integer;
    for (const point& p : named(out, "exact.d").points) doubles += p.real;
    for (const point& p : named(out, "exact.h").points) {
      records += p.count;
      histogram_sum += p.sum;
      bounded = bounded && p.has_extremes && p.min >= 0 && p.max < rounds && p.min <= p.max;
    }
  };
  std::thread collector{[&] {
    while (!stop.load()) {
      take();
      static_cast<void>(cumulative.collect(1));
    }
  }};
  std::vector<std::thread> threads;
  for (int w = 0; w < workers; ++w) {
    threads.emplace_back([&, w] {
      for (int generation = 0; generation < generations; ++generation) {
        std::thread{[&, w, generation] {
          for (int i = 0; i < rounds; ++i) {
            c.add();
            c.add(2, {{"i", i % 70}, {"w", w}});
            bound.add(3);
            d.add(0.5);
            h.record(i);
            g.set(generation);
          }
        }}.join();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  stop = true;
  collector.join();
  take();
  constexpr std::int64_t times = workers * generations * rounds;
  CHECK(sums["all"] == 6 * times);
  CHECK(doubles == 0.5 * times);
  CHECK(records == times);
  CHECK(histogram_sum == static_cast<double>(times) * (rounds - 1) / 2);
  CHECK(bounded);
  const auto out = cumulative.collect(1);
  std::int64_t total = 0;
  for (const point& p : named(out, "exact").points) total += p.integer;
  CHECK(total == 6 * times);
  CHECK(named(out, "exact").points.size() == 51);
  CHECK(named(out, "exact.h").points.at(0).min == 0);
  CHECK(named(out, "exact.h").points.at(0).max == rounds - 1);
}

TEST_CASE("the child of a fork begins at zero with its own start") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"forked"};
  metric_reader reader{{.start = 10}};
  c.add(7, {{"a", 1}});
  static_cast<void>(reader.collect(20));
  const pid_t child = ::fork();
  if (child == 0) {
    const bool empty = named(reader.collect(30), "forked").points.empty();
    c.add(2, {{"a", 1}});
    const metric m = named(reader.collect(40), "forked");
    ::_exit(empty && m.points.size() == 1 && m.points[0].integer == 2 && m.points[0].start == 30 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  c.add(1, {{"a", 1}});
  CHECK(named(reader.collect(50), "forked").points.at(0).integer == 8);
}
