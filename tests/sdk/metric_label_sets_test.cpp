// SPDX-License-Identifier: MIT
// timeout: 300
#include <otlpkit/metrics/instruments.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <doctest/doctest.h>
#include <support/metric_points.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

using metric_points::metric;
using metric_points::named;
using metric_points::point;
using metric_points::recording;
using otlpkit::temporality_preference;
using otlpkit::sdk::metric_reader;

TEST_CASE("delta readers forget idle label sets, and every interval has room for the whole limit") {
  const recording on;
  const metric_points::diagnostics said;
  otlpkit::counter<std::int64_t> c{"forgetful"};
  otlpkit::histogram h{"forgetful.h"};
  metric_reader delta{{.temporality = temporality_preference::delta, .cardinality_limit = 100}};
  std::int64_t sum = 0;
  for (int interval = 0; interval < 20; ++interval) {
    for (int i = 0; i < 100; ++i) {
      c.add(1, {{"user", interval * 1000 + i}});
      h.record(1, {{"user", interval * 1000 + i}});
    }
    const auto out = delta.collect(1);
    const metric m = named(out, "forgetful");
    CHECK(m.points.size() == 100);
    for (const point& p : m.points) {
      sum += p.integer;
      CHECK_FALSE(p.labels.contains("otel.metric.overflow"));
    }
    CHECK(named(out, "forgetful.h").points.size() == 100);
  }
  CHECK(sum == 2000);
  CHECK(said.count("label sets") == 0);
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(delta.collect(1));
    c.add(1, {{"user", "the last"}});
  }
  std::size_t left = 0;
  for (auto* s = otlpkit::detail::global_metrics.first.load(otlpkit::platform::relaxed); s != nullptr;
       s = s->next.load(otlpkit::platform::relaxed)) {
    if (s->name_view() != "forgetful") continue;
    for (auto* x = s->first.load(otlpkit::platform::relaxed); x != nullptr;
         x = x->next.load(otlpkit::platform::relaxed))
      ++left;
  }
  CHECK(left <= 2);
}

TEST_CASE("a cumulative reader keeps every label set, whatever delta readers want") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"kept.sets"};
  metric_reader cumulative{{.cardinality_limit = 100}},
      delta{{.temporality = temporality_preference::delta, .cardinality_limit = 100}};
  for (int i = 0; i < 50; ++i) {
    c.add(1, {{"user", i}});
    static_cast<void>(delta.collect(1));
  }
  CHECK(named(cumulative.collect(1), "kept.sets").points.size() == 50);
}

TEST_CASE("sums are exact while label sets come and go under delta readers") {
  const recording on;
  otlpkit::counter<std::int64_t> c{"churn"};
  otlpkit::histogram h{"churn.h"};
  metric_reader delta{{.temporality = temporality_preference::delta, .cardinality_limit = 40}},
      low{{.temporality = temporality_preference::lowmemory, .cardinality_limit = 40}};
  constexpr int workers = 4, rounds = 20'000;
  std::atomic<int> running{workers};
  std::int64_t sums[2] = {0, 0};
  std::uint64_t records[2] = {0, 0};
  bool distinct = true;
  const auto take = [&](metric_reader& r, int i) {
    const auto out = r.collect(1);
    std::map<std::string, int> seen;
    for (const point& p : named(out, "churn").points) {
      sums[i] += p.integer;
      distinct = distinct && ++seen[p.labels.contains("user") ? p.labels.at("user") : "overflow"] == 1;
    }
    for (const point& p : named(out, "churn.h").points) records[i] += p.count;
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < workers; ++w) {
    threads.emplace_back([&, w] {
      std::mt19937_64 random{static_cast<std::uint64_t>(w)};
      for (int i = 0; i < rounds; ++i) {
        const int user = i / 200 * 10 + static_cast<int>(random() % 12);
        c.add(3, {{"user", user}});
        h.record(user, {{"user", user}});
      }
      --running;
    });
  }
  while (running.load() > 0) {
    take(delta, 0);
    take(low, 1);
  }
  for (std::thread& t : threads) t.join();
  for (int i = 0; i < 3; ++i) {
    take(delta, 0);
    take(low, 1);
  }
  for (const int i : {0, 1}) {
    CHECK(sums[i] == 3 * workers * rounds);
    CHECK(records[i] == workers * rounds);
  }
  CHECK(distinct);
}
