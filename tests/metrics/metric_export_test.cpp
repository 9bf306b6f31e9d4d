// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/metrics/macros.hpp>
#include <otlpkit/sdk/metric_plan.hpp>
#include <otlpkit/sdk/metric_pull.hpp>
#include <otlpkit/sdk/span_metrics.hpp>

#include <doctest/doctest.h>
#include <support/emitted.hpp>
#include <support/metric_points.hpp>
#include <support/otlp_bytes.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

using metric_points::by;
using metric_points::exemplar;
using metric_points::metric;
using metric_points::named;
using metric_points::point;
using metric_points::recording;
using otlpkit::aggregation;
using otlpkit::exemplar_filter;
using otlpkit::metric_view;
using otlpkit::temporality_preference;
using otlpkit::sdk::metric_plan;
using otlpkit::sdk::metric_pull;
using otlpkit::sdk::metric_reader;

namespace {

struct views {
  explicit views(const std::vector<metric_view>& all) { metric_plan::use(all, {}); }
  ~views() { metric_plan::use({}, {}); }
};

struct exemplars {
  explicit exemplars(exemplar_filter f) { otlpkit::sdk::use_exemplars(f); }
  ~exemplars() { otlpkit::sdk::use_exemplars(exemplar_filter::always_off); }
};

/// A span that is current while it lives.
struct current_span {
  explicit current_span(std::uint64_t id, bool sampled = true) {
    entry.ids.trace.words[0] = id;
    entry.ids.trace.words[1] = ~id;
    entry.ids.span.word = id;
    entry.ids.flags = sampled ? otlpkit::flag_sampled : 0;
    otlpkit::detail::current_slot().push(entry);
  }
  ~current_span() { otlpkit::detail::current_slot().remove(entry); }
  otlpkit::detail::context_entry entry;
};

std::uint64_t id_of(const std::string& span) {
  std::uint64_t id = 0;
  if (span.size() == sizeof id) std::memcpy(&id, span.data(), sizeof id);
  return id;
}

std::string bits(double v) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(v)));
  return text;
}

int decode(const std::string& bytes, std::string_view expected, const char* rest = "") {
  const std::string command =
      std::string{OTLPKIT_PYTHON " '" OTLPKIT_SOURCE_DIR "/tests/metrics/decode_metrics.py' "} + rest;
  std::FILE* const decoder = ::popen(command.c_str(), "w");
  if (decoder == nullptr) return -1;
  std::fprintf(decoder, "%zu\n", bytes.size());
  std::fwrite(bytes.data(), 1, bytes.size(), decoder);
  std::fwrite(expected.data(), 1, expected.size(), decoder);
  return ::pclose(decoder);
}

std::string request(const std::vector<otlpkit::sdk::scope_items>& scopes) {
  const otlpkit::sdk::batch b{otlpkit::sdk::signal::metrics, std::make_shared<const std::string>("\x0A\x00", 2),
                              scopes};
  std::string out;
  for (const std::string_view piece : b.pieces()) out += piece;
  return out;
}

}  // namespace

TEST_CASE("the official classes decode what was recorded, over random measurements of every kind") {
  const recording on;
  static const otlpkit::instrumentation_scope lib{"lib", "1"};
  const views v{{{.match = {.name = "e"}, .aggregation = aggregation::exponential()},
                 {.match = {.name = "ei"}, .aggregation = aggregation::exponential(10)}}};
  std::mt19937_64 random{20'261'121};
  for (const auto preference : {temporality_preference::cumulative, temporality_preference::delta}) {
    metric_reader reader{{.temporality = preference, .start = 5}};
    const bool delta = preference == temporality_preference::delta;
    otlpkit::counter<std::int64_t> ci{"ci", {.unit = "{thing}", .description = "Things", .scope = &lib}};
    otlpkit::up_down_counter<double> ud{"ud", {.scope = &lib}};
    otlpkit::gauge<double> g{"g", {.scope = &lib}};
    otlpkit::histogram h{"h", {.unit = "s", .scope = &lib, .bounds = {-1, 0.5, 10}}}, e{"e", {.scope = &lib}};
    otlpkit::up_down_counter<std::int64_t> ei{"ei", {.scope = &lib}};
    otlpkit::observable_counter<std::int64_t> oc{"oc",
                                                 [](auto& out) {
                                                   out.observe(41, {{"k", true}});
                                                 },
                                                 {.scope = &lib}};
    std::map<int, std::int64_t> ints;
    std::map<int, double> reals, last;
    std::vector<double> all;
    std::int64_t low = INT64_MAX, high = INT64_MIN;
    std::uint64_t negative = 0, positive = 0;
    for (int i = 0; i < 500; ++i) {
      const int k = static_cast<int>(random() % 5);
      const auto n = static_cast<std::int64_t>(random() % 1000);
      const double r = static_cast<double>(1 + random() % 8192) / 256;  // sums are exact in any order
      ci.add(n, {{"k", k}});
      ints[k] += n;
      ud.add(r, {{"k", "v" + std::to_string(k)}});
      reals[k] += r;
      g.set(-r, {{"k", k * 0.5}});
      last[k] = -r;
      h.record(r);
      e.record(r);
      all.push_back(r);
      const std::int64_t power = std::int64_t{1} << (random() % 8);  // exact bounds at any scale
      ei.add(i % 2 == 0 ? power : -power);
      (i % 2 == 0 ? positive : negative) += 1;
      low = std::min(low, i % 2 == 0 ? power : -power);
      high = std::max(high, i % 2 == 0 ? power : -power);
    }
    const auto scopes = reader.collect(9);
    std::string expected;
    const auto start_of = [&](const char* name, const std::string& label) {
      const auto points = by(named(scopes, name), "k");
      return delta ? std::string{"5"} : std::to_string(points.at(label).start);
    };
    const std::string t = delta ? "1" : "2";
    for (const auto& [k, n] : ints)
      expected += "lib|ci|{thing}|Things|sum|" + t + "|1|k=int_value:" + std::to_string(k) + "|" +
                  start_of("ci", std::to_string(k)) + "|9|i" + std::to_string(n) + "\n";
    for (const auto& [k, r] : reals) {
      const std::string label = "v" + std::to_string(k);
      expected += "lib|ud|||sum|2|0|k=string_value:" + label + "|" +
                  std::to_string(by(named(scopes, "ud"), "k").at(label).start) + "|9|d" + bits(r) + "\n";
    }
    for (const auto& [k, r] : last)
      expected += "lib|g|||gauge|k=double_value:" + bits(k * 0.5) + "|0|9|d" + bits(r) + "\n";
    double sum = 0;
    std::vector<std::uint64_t> counts(4);
    for (const double r : all) {
      sum += r;
      ++counts[r <= -1 ? 0 : r <= 0.5 ? 1 : r <= 10 ? 2 : 3];
    }
    const std::string range = bits(sum) + "|" + bits(*std::min_element(all.begin(), all.end())) + "|" +
                              bits(*std::max_element(all.begin(), all.end()));
    expected += "lib|h|s||histogram|" + t + "||" + start_of("h", "") + "|9|500|" + range + "|" +
                std::to_string(counts[0]) + "," + std::to_string(counts[1]) + "," + std::to_string(counts[2]) + "," +
                std::to_string(counts[3]) + "|" + bits(-1) + "," + bits(0.5) + "," + bits(10) + "\n";
    const point ep = named(scopes, "e").points.at(0);
    std::map<std::int32_t, std::uint64_t> slow;
    for (const double r : all)
      ++slow[static_cast<std::int32_t>(
                 std::ceil(std::log2(static_cast<long double>(r)) * std::exp2(static_cast<long double>(ep.scale)))) -
             1];
    const auto dense = [](const std::map<std::int32_t, std::uint64_t>& b) {
      std::string out = std::to_string(b.begin()->first) + ":";
      for (std::int32_t i = b.begin()->first; i <= b.rbegin()->first; ++i)
        out += (i == b.begin()->first ? "" : ",") + std::to_string(b.contains(i) ? b.at(i) : 0);
      return out;
    };
    expected += "lib|e|||exponential_histogram|" + t + "||" + start_of("e", "") + "|9|500|" + range + "|" +
                std::to_string(ep.scale) + "|0|" + dense(slow) + "|-\n";
    const point ip = named(scopes, "ei").points.at(0);
    expected += "lib|ei|||exponential_histogram|2||" + std::to_string(ip.start) + "|9|500|-|" +
                bits(static_cast<double>(low)) + "|" + bits(static_cast<double>(high)) + "|" +
                std::to_string(ip.scale) + "|0|" + dense(ip.above) + "|" + dense(ip.below) + "\n";
    expected += "lib|oc|||sum|" + t + "|1|k=bool_value:1|5|9|i41\n";
    CHECK(decode(request(scopes), expected) == 0);
    CHECK(decode(request(scopes), expected + "one more\n", "2>/dev/null") != 0);
    CHECK(ip.below.size() > 1);
  }
}

TEST_CASE("measurements in sampled spans become exemplars, others do not") {
  const recording on;
  const exemplars filter{exemplar_filter::trace_based};
  otlpkit::detail::global_runtime.clock.calibrate();
  metric_reader reader;
  otlpkit::counter<std::int64_t> c{"ex.c"};
  otlpkit::histogram h{"ex.h", {.bounds = {1, 2}}};
  c.add(1);
  h.record(0.5);
  {
    const current_span unsampled{1, false};
    c.add(1);
    h.record(0.5);
  }
  CHECK(named(reader.collect(1), "ex.c").points.at(0).exemplars.empty());
  {
    const current_span s{7};
    c.add(5);
    h.record(0.5);
    h.record(9);
    OTLPKIT_COUNTER("ex.macro", {"a", 1}).add(3);
  }
  const auto out = reader.collect(1);
  const point p = named(out, "ex.c").points.at(0);
  REQUIRE(p.exemplars.size() == 1);
  CHECK(p.exemplars[0].integer == 5);
  CHECK(id_of(p.exemplars[0].span) == 7);
  CHECK(p.exemplars[0].trace.size() == 16);
  CHECK(p.exemplars[0].time > 1'600'000'000'000'000'000);
  const point hp = named(out, "ex.h").points.at(0);
  REQUIRE(hp.exemplars.size() == 2);
  CHECK(hp.exemplars[0].real == 0.5);
  CHECK(hp.exemplars[1].real == 9);
  CHECK(named(out, "ex.macro").points.at(0).exemplars.at(0).integer == 3);
}

TEST_CASE("always_on takes measurements outside spans too, always_off none") {
  const recording on;
  metric_reader reader{{.temporality = temporality_preference::delta}};
  otlpkit::up_down_counter<double> c{"ex.always"};
  {
    const exemplars filter{exemplar_filter::always_on};
    c.add(0.5);
    const point p = named(reader.collect(1), "ex.always").points.at(0);
    REQUIRE(p.exemplars.size() == 1);
    CHECK(p.exemplars[0].real == 0.5);
    CHECK(p.exemplars[0].span.empty());
    CHECK(p.exemplars[0].trace.empty());
  }
  const exemplars filter{exemplar_filter::always_off};
  const current_span s{3};
  c.add(0.25);
  const point p = named(reader.collect(1), "ex.always").points.at(0);
  for (const exemplar& e : p.exemplars) CHECK(e.real == 0.5);
}

TEST_CASE("exemplars keep the labels a view took off, and their bucket") {
  const recording on;
  const exemplars filter{exemplar_filter::trace_based};
  const views v{{{.match = {.name = "ex.filtered"}, .keep = {"route"}},
                 {.match = {.name = "ex.exponential"}, .aggregation = aggregation::exponential(12)}}};
  metric_reader reader;
  otlpkit::histogram h{"ex.filtered"}, e{"ex.exponential"};
  const current_span s{11};
  h.record(3, {{"route", "/a"}, {"user", "ada"}, {"n", 5}});
  for (int i = 0; i < 500; ++i) e.record(i);
  const auto out = reader.collect(1);
  const point p = named(out, "ex.filtered").points.at(0);
  CHECK(p.labels == std::map<std::string, std::string>{{"route", "/a"}});
  REQUIRE(p.exemplars.size() == 1);
  CHECK(p.exemplars[0].labels == std::map<std::string, std::string>{{"user", "ada"}, {"n", "5"}});
  const point q = named(out, "ex.exponential").points.at(0);
  CHECK(q.exemplars.size() == 12);
}

TEST_CASE("which measurement becomes the exemplar is chance, the same for each") {
  const recording on;
  const exemplars filter{exemplar_filter::trace_based};
  metric_reader reader{{.temporality = temporality_preference::delta}};
  otlpkit::histogram h{"ex.chance", {.bounds = {100}}};
  std::map<double, int> chosen;
  const current_span s{5};
  constexpr int rounds = 4000;
  for (int round = 0; round < rounds; ++round) {
    for (const double v : {0.0, 1.0, 2.0, 3.0}) h.record(v);
    const point p = named(reader.collect(1), "ex.chance").points.at(0);
    for (const exemplar& e : p.exemplars) ++chosen[e.real];
  }
  REQUIRE(chosen.size() == 4);
  for (const auto& [v, times] : chosen) CHECK(std::abs(times - rounds / 4) < 200);  // 7 standard deviations
}

TEST_CASE("exemplars of every thread belong to a measurement of that thread's span") {
  const recording on;
  const exemplars filter{exemplar_filter::trace_based};
  metric_reader cumulative, delta{{.temporality = temporality_preference::delta}};
  otlpkit::histogram h{"ex.threads", {.bounds = {1000, 2000, 3000}}};
  std::atomic<int> running{4};
  std::size_t seen = 0;
  bool right = true;
  const auto take = [&](metric_reader& r) {
    for (const point& p : named(r.collect(1), "ex.threads").points) {
      for (const exemplar& e : p.exemplars) {
        ++seen;
        right = right && id_of(e.span) == static_cast<std::uint64_t>(e.real) && e.trace.size() == 16;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < 4; ++w) {
    threads.emplace_back([&, w] {
      for (int i = 1; i < 2000; ++i) {
        const current_span s{static_cast<std::uint64_t>(w * 1000 + i % 1000 + 1)};
        h.record(w * 1000 + i % 1000 + 1);
      }
      --running;
    });
  }
  while (running.load() > 0) {
    take(delta);
    take(cumulative);
  }
  for (std::thread& t : threads) t.join();
  take(delta);
  take(cumulative);
  CHECK(right);
  CHECK(seen >= 4);
}

TEST_CASE("spans become calls, errors and durations by name and kind") {
  using namespace otlp_bytes;
  const recording on;
  metric_reader reader;
  otlpkit::sdk::span_metrics red;
  std::string spans;
  const auto add = [&](const char* name, int kind, std::uint64_t ns, int code) {
    spans += bytes(2, bytes(5, name) + number(6, static_cast<std::uint64_t>(kind)) + fixed(7, 1'000, 8) +
                          fixed(8, 1'000 + ns, 8) +
                          (code == 0 ? "" : bytes(15, number(3, static_cast<std::uint64_t>(code)))));
  };
  add("GET /", 2, 2'000'000'000, 0);
  add("GET /", 2, 1'000'000, 2);
  add("GET /", 2, 3'000'000, 2);
  add("work", 1, 0, 1);
  std::vector<otlpkit::sdk::scope_items> scopes(1);
  scopes[0].items = spans;
  scopes[0].count = 4;
  int done = 0;
  red.send(std::make_shared<const otlpkit::sdk::batch>(otlpkit::sdk::signal::traces,
                                                       std::make_shared<const std::string>(), scopes),
           [&](otlpkit::sdk::export_result r) { done += r.dropped == 0 ? 1 : 100; });
  CHECK(done == 1);
  const auto out = reader.collect(1);
  for (const auto& scope : out) {  // the other metrics are the tests' own
    if (scope.items.find("traces.span.metrics") == scope.items.npos) continue;
    otlpkit::sdk::scope_items mine;
    for (otlpkit::wire::reader f{scope.items}; f.next();) {
      if (!metric_points::decode_metric(f.bytes()).name.starts_with("traces.span.metrics")) continue;
      mine.items += bytes(2, std::string{f.bytes()});
    }
    support::emitted_metrics({&mine, 1});
  }
  const metric calls = named(out, "traces.span.metrics.calls");
  REQUIRE(calls.points.size() == 3);
  const auto codes = by(calls, "status.code");
  CHECK(codes.at("STATUS_CODE_ERROR").integer == 2);
  CHECK(codes.at("STATUS_CODE_ERROR").labels.at("span.name") == "GET /");
  CHECK(codes.at("STATUS_CODE_ERROR").labels.at("span.kind") == "SPAN_KIND_SERVER");
  CHECK(codes.at("STATUS_CODE_OK").labels.at("span.kind") == "SPAN_KIND_INTERNAL");
  const auto durations = by(named(out, "traces.span.metrics.duration"), "status.code");
  CHECK(durations.at("STATUS_CODE_UNSET").sum == doctest::Approx(2));
  CHECK(durations.at("STATUS_CODE_ERROR").count == 2);
  CHECK(durations.at("STATUS_CODE_ERROR").sum == doctest::Approx(0.004));
}
