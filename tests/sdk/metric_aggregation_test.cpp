// SPDX-License-Identifier: MIT
// timeout: 300
#include <otlpkit/metrics/instruments.hpp>
#include <otlpkit/metrics/observable.hpp>
#include <otlpkit/sdk/metric_plan.hpp>
#include <otlpkit/sdk/metric_pull.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <doctest/doctest.h>
#include <support/metric_points.hpp>
#include <support/otlp_bytes.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using metric_points::metric;
using metric_points::named;
using metric_points::point;
using metric_points::recording;
using otlpkit::aggregation;
using otlpkit::temporality_preference;
using otlpkit::sdk::metric_plan;
using otlpkit::sdk::metric_reader;
namespace exponential = otlpkit::detail::exponential;

namespace {

using buckets = std::map<std::int32_t, std::uint64_t>;

/// The bucket by the definition: bounds computed with more precision than a double has, values near them left out.
struct slow_index {
  std::int32_t scale;
  [[nodiscard]] long double bound(std::int64_t i) const {
    const long double exponent = scale >= 0 ? static_cast<long double>(i) / static_cast<long double>(1 << scale)
                                            : static_cast<long double>(i) * static_cast<long double>(1 << -scale);
    return std::exp2(exponent);
  }
  [[nodiscard]] std::int32_t operator()(double v) const {
    std::int64_t low = -(std::int64_t{1076} << std::max(scale, 0)), high = std::int64_t{1025} << std::max(scale, 0);
    while (high - low > 1) {  // bound(low) < v <= bound(high)
      const std::int64_t middle = low + (high - low) / 2;
      (bound(middle) < static_cast<long double>(v) ? low : high) = middle;
    }
    return static_cast<std::int32_t>(low);
  }
};

struct expected {
  std::int32_t scale = 0;
  buckets above{}, below{};
  std::uint64_t zeros = 0;
};

/// On the finest scale where everything fits. One scale up two buckets come of one, so indices on the finest scale of
/// all say everything.
expected oracle(const std::vector<double>& values, std::int32_t size, std::int32_t max_scale) {
  std::vector<std::pair<std::int32_t, bool>> fine;
  expected out;
  for (const double v : values) {
    if (v == 0) {
      ++out.zeros;
    } else {
      fine.emplace_back(exponential::index_of(std::abs(v), 20), v < 0);
    }
  }
  for (out.scale = max_scale;; --out.scale) {
    out.above.clear();
    out.below.clear();
    for (const auto& [index, negative] : fine) ++(negative ? out.below : out.above)[index >> (20 - out.scale)];
    const auto fits = [&](const buckets& b) {
      return b.empty() || std::int64_t{b.rbegin()->first} - b.begin()->first < size;
    };
    if (fits(out.above) && fits(out.below)) break;
  }
  return out;
}

void compare(const point& p, const std::vector<double>& values, std::int32_t size, std::int32_t max_scale) {
  const expected e = oracle(values, size, max_scale);
  CHECK(p.scale == e.scale);
  CHECK(p.above == e.above);
  CHECK(p.below == e.below);
  CHECK(p.zeros == e.zeros);
  CHECK(p.count == values.size());
  if (values.empty()) return;
  CHECK(p.min == *std::min_element(values.begin(), values.end()));
  CHECK(p.max == *std::max_element(values.begin(), values.end()));
}

struct exponential_view {
  exponential_view(std::uint32_t size, std::int32_t scale) {
    metric_plan::use({{.match = {.name = "x.*"}, .aggregation = aggregation::exponential(size, scale)}}, {});
  }
  ~exponential_view() { metric_plan::use({}, {}); }
};

/// Values of one sort, as programs have them, or of any bits.
class value_source {
 public:
  explicit value_source(std::uint64_t seed) : random_{seed} {}

  [[nodiscard]] std::vector<double> draw(std::size_t count) {
    const auto sort = random_() % 6;
    const double spread = std::exp2(static_cast<double>(random_() % 10)), centre = std::exp2(uniform(-20, 20));
    std::vector<double> out;
    while (out.size() < count) {
      double v = 0;
      switch (sort) {
        case 0: v = std::bit_cast<double>(random_()); break;
        case 1: v = centre * std::exp2(uniform(-spread, spread) / 2); break;
        case 2: v = centre * (1 + uniform(0, 1e-6)); break;
        case 3: v = std::exp2(std::round(uniform(-30, 30))); break;
        case 4: v = static_cast<double>(random_() % 1000); break;
        default: v = std::numeric_limits<double>::denorm_min() * static_cast<double>(random_() % 100000); break;
      }
      if (random_() % 50 == 0) v = 0;
      if (sort != 4 && random_() % 10 == 0) v = -v;
      if (std::isfinite(v)) out.push_back(v);
    }
    return out;
  }
  [[nodiscard]] double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(random_() >> 11) * 0x1p-53;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace

TEST_CASE("the bucket of a value is that of the specification's check values") {
  const auto is = [](double v, std::int32_t scale, std::int32_t index) {
    CAPTURE(v);
    CHECK(exponential::index_of(v, scale) == index);
  };
  for (const auto& [v, index] : {std::pair{1.0, -1},
                                 {1.5, 0},
                                 {2.0, 0},
                                 {3.0, 1},
                                 {4.0, 1},
                                 {DBL_MAX, 1023},
                                 {0x1p-1022, -1023},
                                 {0x1p-1023, -1024},
                                 {0x1p-1074, -1075}})
    is(v, 0, index);
  is(1, -1, -1);
  is(4, -1, 0);
  is(4.1, -1, 1);
  is(3, 3, 12);
  is(2, 20, 1048575);
  is(0.5, 20, -1048577);
  is(DBL_MAX, 20, (1 << 30) - 1);
  for (int e = -1074; e < 1024; ++e) {
    for (std::int32_t scale = -10; scale <= 20; ++scale) {
      const auto exact = static_cast<std::int32_t>(scale >= 0 ? (std::int64_t{e} << scale) - 1 : (e - 1) >> -scale);
      CHECK(exponential::index_of(std::ldexp(1.0, e), scale) == exact);
    }
  }
}

TEST_CASE("the bucket of any value is that of the definition, also next to the bounds") {
  value_source source{11};
  std::mt19937_64 random{12};
  for (int round = 0; round < 40'000; ++round) {
    const auto scale = static_cast<std::int32_t>(random() % 31) - 10;
    const slow_index slow{scale};
    double v = std::abs(std::bit_cast<double>(random()));
    if (round % 2 == 0) {  // the doubles around a bound
      const auto i = static_cast<std::int64_t>(random() % (std::uint64_t{60} << std::max(scale, 0))) -
                     (std::int64_t{30} << std::max(scale, 0));
      v = static_cast<double>(slow.bound(i));
      for (int n = static_cast<int>(random() % 3); n > 0; --n) v = std::nextafter(v, random() % 2 == 0 ? 0 : 1e300);
    }
    if (!std::isfinite(v) || v == 0) continue;
    const std::int32_t index = exponential::index_of(v, scale);
    // A long double has 11 bits more than v: what lies that near to a bound is not told by it.
    const long double near = std::exp2(-62.0L) * static_cast<long double>(v);
    if (std::abs(slow.bound(index) - static_cast<long double>(v)) < near ||
        std::abs(slow.bound(index + 1) - static_cast<long double>(v)) < near)
      continue;
    CAPTURE(v);
    CAPTURE(scale);
    CHECK(index == slow(v));
  }
}

TEST_CASE("exponential histograms equal a slow oracle, over threads and collections, cumulative and delta") {
  const recording on;
  value_source source{7};
  for (int round = 0; round < 120; ++round) {
    const std::uint32_t size = round % 3 == 0 ? 2 + static_cast<std::uint32_t>(round) : 160;
    const std::int32_t max_scale = round % 4 == 0 ? round % 31 - 10 : 20;
    const exponential_view view{size, max_scale};
    metric_reader cumulative, delta{{.temporality = temporality_preference::delta}};
    const std::string name = "x." + std::to_string(round);
    otlpkit::histogram h{name};
    std::vector<double> all;
    for (int collection = 0; collection < 3; ++collection) {
      const std::vector<double> fresh = source.draw(round % 5 == 0 ? 1 : 150);
      const std::size_t half = fresh.size() / 2;
      for (std::size_t i = 0; i < half; ++i) h.record(fresh[i]);
      std::thread{[&] {  // dies with what it measured
        for (std::size_t i = half; i < fresh.size(); ++i) h.record(fresh[i]);
      }}
          .join();
      h.record(std::numeric_limits<double>::quiet_NaN());
      h.record(-std::numeric_limits<double>::infinity());
      all.insert(all.end(), fresh.begin(), fresh.end());
      if (collection == 1) static_cast<void>(cumulative.collect(1));
      CAPTURE(round);
      CAPTURE(collection);
      compare(named(delta.collect(1), name).points.at(0), fresh, static_cast<std::int32_t>(size), max_scale);
    }
    compare(named(cumulative.collect(1), name).points.at(0), all, static_cast<std::int32_t>(size), max_scale);
    CHECK(named(delta.collect(1), name).points.empty());
  }
}

TEST_CASE("an interval has the scale of its own values, whatever came before") {
  const recording on;
  const exponential_view view{160, 20};
  metric_reader delta{{.temporality = temporality_preference::delta}};
  otlpkit::histogram h{"x.interval"};
  h.record(1e-300);
  h.record(1e300);
  CHECK(named(delta.collect(1), "x.interval").points.at(0).scale < 0);
  h.record(3);
  const point p = named(delta.collect(1), "x.interval").points.at(0);
  CHECK(p.scale == 20);
  CHECK(p.sum == 3);
  CHECK(p.min == 3);
  CHECK(p.max == 3);
}

TEST_CASE("a measurement between a reading and its request to clear is news once") {
  namespace core = otlpkit::detail;
  std::vector<std::uint64_t> memory((sizeof(core::exponential_cell) + core::exponential_buckets::bytes(160)) / 8 + 1);
  auto* const c = ::new (static_cast<void*>(memory.data())) core::exponential_cell;
  static_cast<void>(core::exponential_buckets::make(c + 1, 160, 20));
  core::exponential_reading reading{160, 20};
  const auto news = [&] {
    buckets b;
    REQUIRE(reading.take(*c));
    reading.fresh().for_each(false, [&](std::int32_t index, std::uint64_t n) { b[index] += n; });
    return b;
  };
  c->record(1);
  c->record(8);
  CHECK(news().size() == 2);
  c->read_writes.store(0, otlpkit::platform::relaxed);  // as if the writer had not seen the request before its next one
  c->record(8);
  c->record(0);
  CHECK(news() == buckets{{exponential::index_of(8, reading.fresh().scale()), 1}});
  CHECK(reading.fresh().sum() == 8);
  CHECK(reading.fresh().zeros() == 1);
  CHECK_FALSE(reading.take(*c));
  c->record(4);
  CHECK(news() == buckets{{exponential::index_of(4, 20), 1}});
  CHECK(reading.fresh().scale() == 20);
  c->destroy();
}

TEST_CASE("what a thread still adds to a label set that retires is reported with its successor") {
  const recording on;
  metric_reader delta{{.temporality = temporality_preference::delta}};
  otlpkit::counter<std::int64_t> c{"successor"};
  c.add(1, {{"a", 1}});
  auto* const cell = static_cast<otlpkit::detail::sum_cell*>(otlpkit::detail::this_thread_metrics.cells);
  for (int i = 0; i < 2; ++i) static_cast<void>(delta.collect(1));
  REQUIRE(cell->owner->retiring.load(otlpkit::platform::relaxed));
  cell->add(std::int64_t{5});  // as a thread does that was under way
  c.add(7, {{"a", 1}});
  const metric m = named(delta.collect(1), "successor");
  REQUIRE(m.points.size() == 1);
  CHECK(m.points[0].integer == 12);
  CHECK(named(delta.collect(1), "successor").points.empty());
}

TEST_CASE("counts of exponential histograms are exact while threads are born and die and readers collect") {
  const recording on;
  const exponential_view view{160, 20};
  otlpkit::histogram h{"x.exact"};
  metric_reader cumulative, delta{{.temporality = temporality_preference::delta}};
  constexpr int workers = 3, generations = 6, rounds = 2000;
  std::atomic<bool> stop{false};
  std::map<std::string, std::uint64_t> counts;
  double sum = 0;
  const auto take = [&] {
    for (const point& p : named(delta.collect(1), "x.exact").points) {
      std::uint64_t in_buckets = p.zeros;
      for (const auto& [index, n] : p.above) in_buckets += n;
      for (const auto& [index, n] : p.below) in_buckets += n;
      CHECK(in_buckets == p.count);
      counts[p.labels.contains("w") ? p.labels.at("w") : ""] += p.count;
      sum += p.sum;
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
        std::thread{[&, w] {
          for (int i = 0; i < rounds; ++i) {
            h.record(i % 7 == 0 ? 0 : i * 0.5);
            h.record(i % 2 == 0 ? -1 : 1e6, {{"w", w}});
          }
        }}.join();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  stop = true;
  collector.join();
  take();
  constexpr std::uint64_t each = generations * rounds;
  CHECK(counts[""] == workers * each);
  for (int w = 0; w < workers; ++w) CHECK(counts[std::to_string(w)] == each);
  const metric m = named(cumulative.collect(1), "x.exact");
  std::uint64_t total = 0;
  double whole = 0;
  for (const point& p : m.points) total += p.count, whole += p.sum;
  CHECK(total == 2 * workers * each);
  CHECK(whole == sum);
}
