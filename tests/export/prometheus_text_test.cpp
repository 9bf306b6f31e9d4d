// SPDX-License-Identifier: MIT
#include <doctest/doctest.h>

#include "export/prometheus_page.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

TEST_CASE("a page in the text format") {
  const std::string scope = bytes(1, "shop") + bytes(2, "2.0") + label(3, "team", "blue") + label(3, "name", "x");
  const std::string resource = label(1, "service.name", "checkout") + pair(1, "process.pid", number(3, 42));
  const std::string metrics =
      metric("product.views", sum(int_point(3, label(7, "source", "cache")) + int_point(1), true), "{view}", "Looks") +
      metric("open", sum(int_point(-2), false)) +
      metric("cpu", gauge(real_point(0.25)), "s", "line\nbreak \\ and \"quotes\"") +
      metric("latency",
             histogram(bytes(1, fixed(4, 6) + real(5, 7.5) + packed(6, {1, 2, 0, 3}) +
                                    packed(7, {std::bit_cast<std::uint64_t>(0.1), std::bit_cast<std::uint64_t>(1.0),
                                               std::bit_cast<std::uint64_t>(1e6)}) +
                                    label(9, "le", "mine"))),
             "s", "Time");
  const rendered page = render(request(metrics, scope, resource));
  CHECK(page.problems.empty());
  CHECK(page.text == R"(# HELP target_info Target metadata
# TYPE target_info gauge
target_info{process_pid="42",service_name="checkout"} 1
# HELP product_views_total Looks
# TYPE product_views_total counter
product_views_total{source="cache",otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0"} 3
product_views_total{otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0"} 1
# TYPE open gauge
open{otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0"} -2
# HELP cpu_seconds line\nbreak \\ and "quotes"
# TYPE cpu_seconds gauge
cpu_seconds{otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0"} 0.25
# HELP latency_seconds Time
# TYPE latency_seconds histogram
latency_seconds_bucket{exported_le="mine",otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0",le="0.1"} 1
latency_seconds_bucket{exported_le="mine",otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0",le="1"} 3
latency_seconds_bucket{exported_le="mine",otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0",le="1e+06"} 3
latency_seconds_bucket{exported_le="mine",otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0",le="+Inf"} 6
latency_seconds_sum{exported_le="mine",otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0"} 7.5
latency_seconds_count{exported_le="mine",otel_scope_name="shop",otel_scope_team="blue",otel_scope_version="2.0"} 6
)");
  const rendered bare = render(request(metric("n", gauge(int_point(1))), scope, resource), format::text,
                               {.scope_labels = false, .target_info = false});
  CHECK(bare.text == "# TYPE n gauge\nn 1\n");
  CHECK(render(request("")).text.empty());
}

TEST_CASE("a page in OpenMetrics has units, exemplars and an end") {
  const std::string ids = bytes(4, "\x01\x02\x03\x04\x05\x06\x07\x08") + bytes(5, "0123456789abcdef");
  const auto exemplar = [&](double v, std::uint64_t time, const std::string& rest) {
    return fixed(2, time) + real(3, v) + rest;
  };
  const std::string metrics =
      metric("sent",
             sum(int_point(5, bytes(5, exemplar(2, 1'700'000'000'123'456'789, ids)) +
                                  bytes(5, exemplar(3, 1'600'000'000'000'000'000, ids))),
                 true),
             "By", "Out \"now\"") +
      metric("took",
             histogram(bytes(
                 1, fixed(4, 3) + packed(6, {1, 1, 1}) +
                        packed(7, {std::bit_cast<std::uint64_t>(1.0), std::bit_cast<std::uint64_t>(2.5)}) +
                        bytes(8, exemplar(1, 1'000'000'000,
                                          ids + label(7, "trace_id", "lie") + label(7, "user.id", "7"))) +
                        bytes(8, exemplar(9, 1'000'000'000,
                                          ids + label(7, "long", std::string(90, 'x')) + label(7, "short", "y"))) +
                        bytes(8, exemplar(2, 1'000'000'000, "")))));
  const rendered page = render(request(metrics, "", label(1, "service.name", "s")), format::openmetrics);
  const std::string trace = R"(trace_id="30313233343536373839616263646566",span_id="0102030405060708")";
  CHECK(page.text ==
        "# HELP target Target metadata\n# TYPE target info\ntarget_info{service_name=\"s\"} 1\n"
        "# HELP sent_bytes Out \\\"now\\\"\n# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\n"
        "sent_bytes_total 5 # {" +
            trace +
            "} 2 1700000000.123\n"
            "# TYPE took histogram\n"
            "took_bucket{le=\"1.0\"} 1 # {" +
            trace +
            ",user_id=\"7\"} 1 1.000\n"
            "took_bucket{le=\"2.5\"} 2\n"
            "took_bucket{le=\"+Inf\"} 3 # {" +
            trace +
            ",short=\"y\"} 9 1.000\n"
            "took_count 3\n# EOF\n");
}

TEST_CASE("values are spelled as Prometheus reads them") {
  const std::pair<double, const char*> rows[] = {{std::numeric_limits<double>::quiet_NaN(), "NaN"},
                                                 {infinity, "+Inf"},
                                                 {-infinity, "-Inf"},
                                                 {0.1, "0.1"},
                                                 {100000, "100000"},
                                                 {1e6, "1e+06"},
                                                 {1e-4, "0.0001"},
                                                 {5e-324, "5e-324"},
                                                 {-0.0, "-0"},
                                                 {1.0 / 3, "0.3333333333333333"}};
  for (const auto& [value, text] : rows) {
    CHECK(parse(render(request(metric("v", gauge(real_point(value))))).text).samples["v"] == text);
  }
  CHECK(parse(render(request(metric("v", gauge(int_point(INT64_MIN))))).text).samples["v"] == "-9223372036854775808");
}

TEST_CASE("labels are escaped, joined where they collide, and written as text") {
  const auto series = [](const std::string& labels) {
    const std::string page = render(request(metric("v", gauge(int_point(1, labels))))).text;
    const std::size_t at = page.find("v{");
    return at == std::string::npos ? std::string{} : page.substr(at + 1, page.rfind(' ') - at - 1);
  };
  CHECK(series(label(7, "a", "q\"b\\n\nl")) == "{a=\"q\\\"b\\\\n\\nl\"}");
  CHECK(series(label(7, "a", "x\xff\xc3y")) == "{a=\"x\xEF\xBF\xBD\xEF\xBF\xBDy\"}");
  CHECK(series(label(7, "a.b", "1") + label(7, "a_b", "2") + label(7, "a-b", "3")) == "{a_b=\"3;1;2\"}");
  CHECK(series(label(7, "__name__", "x") + label(7, "9", "y")) == "{_9=\"y\",_name_=\"x\"}");
  CHECK(series(label(7, "empty", "")).empty());
  CHECK(series(pair(7, "b", number(2, 1)) + pair(7, "d", real(4, 0.5)) + pair(7, "i", number(3, 7))) ==
        "{b=\"true\",d=\"0.5\",i=\"7\"}");
  CHECK(series(pair(7, "x", bytes(7, "\x01\x02\x03\xff"))) == "{x=\"AQID/w==\"}");
  CHECK(series(pair(7, "x", bytes(5, bytes(1, text_value("s\"")) + bytes(1, real(4, infinity))))) ==
        "{x=\"[\\\"s\\\\\\\"\\\",\\\"Infinity\\\"]\"}");
}

TEST_CASE("what cannot be shown is left out, with a reason") {
  SUBCASE("one name, two types: the first stays") {
    const rendered page =
        render(request(metric("a.b", gauge(int_point(1))) + metric("a_b", histogram(bytes(1, fixed(4, 0))))));
    CHECK(parse(page.text).types == std::map<std::string, std::string>{{"a_b", "gauge"}});
    REQUIRE(page.problems.size() == 1);
    CHECK(page.problems[0].find("a_b") != std::string::npos);
  }
  SUBCASE("a name that another type makes of itself") {
    const std::string otlp =
        request(metric("h", histogram(bytes(1, fixed(4, 0)))) + metric("h.count", gauge(int_point(1))));
    CHECK(render(otlp).problems.size() == 1);
  }
  SUBCASE("a counter and a gauge of one name meet only in OpenMetrics") {
    const std::string otlp = request(metric("n", sum(int_point(1), true)) + metric("n", gauge(int_point(1))));
    CHECK(render(otlp).problems.empty());
    CHECK(render(otlp, format::openmetrics).problems.size() == 1);
  }
  SUBCASE("delta") {
    const rendered page = render(request(metric("d", sum(int_point(1), true, 1))));
    CHECK(page.text.empty());
    CHECK(page.problems.size() == 1);
  }
  SUBCASE("two series with the same labels") {
    const rendered page = render(request(metric("a.b", gauge(int_point(1))) + metric("a_b", gauge(int_point(2)))));
    CHECK(parse(page.text).sound);
    CHECK(parse(page.text).samples["a_b"] == "1");
    CHECK(page.problems.size() == 1);
  }
  SUBCASE("two descriptions: one comment") {
    const rendered page = render(request(metric("a", gauge(int_point(1)), "", "one") +
                                         metric("a", gauge(int_point(1, label(7, "k", "v"))), "", "two")));
    CHECK(page.text == "# HELP a one\n# TYPE a gauge\na 1\na{k=\"v\"} 1\n");
    CHECK(page.problems.size() == 1);
  }
  SUBCASE("bounds that do not ascend") {
    const rendered page = render(request(metric(
        "h",
        histogram(bytes(1, fixed(4, 2) + packed(6, {1, 1, 0}) +
                               packed(7, {std::bit_cast<std::uint64_t>(2.0), std::bit_cast<std::uint64_t>(1.0)}))))));
    CHECK(page.text.empty());
    CHECK(page.problems.size() == 1);
  }
  SUBCASE("a point without a value") {
    CHECK(render(request(metric("g", gauge(bytes(1, number(8, 1)))))).text.empty());
  }
}

TEST_CASE("gauges that say so become unknown, info and state sets") {
  const auto typed = [](const char* type) {
    return request(metric("build", gauge(int_point(1, label(7, "v", "1"))) + label(12, "prometheus.type", type)));
  };
  CHECK(render(typed("unknown")).text == "# TYPE build untyped\nbuild{v=\"1\"} 1\n");
  CHECK(render(typed("unknown"), format::openmetrics).text == "# TYPE build unknown\nbuild{v=\"1\"} 1\n# EOF\n");
  CHECK(render(typed("info")).text == "# TYPE build_info gauge\nbuild_info{v=\"1\"} 1\n");
  CHECK(render(typed("info"), format::openmetrics).text == "# TYPE build info\nbuild_info{v=\"1\"} 1\n# EOF\n");
  CHECK(render(typed("stateset")).text.find("# TYPE build gauge") != std::string::npos);
}

TEST_CASE("an exponential histogram becomes buckets at powers of two, and no count moves across a bound") {
  std::mt19937 random{20};
  const auto zigzag = [](std::int64_t v) {
    return static_cast<std::uint64_t>(v) << 1 ^ static_cast<std::uint64_t>(v >> 63);
  };
  for (int round = 0; round < 300; ++round) {
    const int scale = static_cast<int>(random() % 26) - 5;
    const int offset = static_cast<int>(random() % 400) - 200;
    std::vector<std::uint64_t> counts(1 + random() % 60);
    std::string packed_counts;
    std::uint64_t total = random() % 5;
    const std::uint64_t zeros = total;
    for (auto& c : counts) {
      c = random() % 3;
      total += c;
      packed_counts += varint(c);
    }
    const std::string range = number(1, zigzag(offset)) + bytes(2, packed_counts);
    const rendered page =
        render(request(metric("e", exponential(bytes(1, fixed(4, total) + real(5, 1) + number(6, zigzag(scale)) +
                                                            fixed(7, zeros) + bytes(8, range))))));
    const parsed got = parse(page.text);
    REQUIRE(got.sound);
    CHECK(got.samples.at("e_bucket{le=\"+Inf\"}") == std::to_string(total));
    for (const auto& [name, value] : got.samples) {
      if (!name.starts_with("e_bucket") || name.find("Inf") != std::string::npos) continue;
      const double le = std::strtod(name.c_str() + 13, nullptr);  // std::stod refuses subnormal ones
      int exponent = 0;
      CHECK((le == 0 || std::frexp(le, &exponent) == 0.5));
      // All values of a bucket are at most its upper bound, and above le if its lower bound is not below it.
      std::uint64_t expected = zeros;
      for (std::size_t i = 0; i < counts.size(); ++i) {
        const double upper = std::exp2((offset + static_cast<double>(i) + 1) * std::exp2(-scale));
        if (upper <= le * (1 + 1e-9)) expected += counts[i];
      }
      CHECK(value == std::to_string(expected));
    }
  }
  const std::string below = number(1, 0) + bytes(2, varint(2) + varint(1));  // 2 in [-2, -1), 1 in [-4, -2)
  const rendered page =
      render(request(metric("e", exponential(bytes(1, fixed(4, 4) + number(6, 0) + fixed(7, 1) + bytes(9, below))))));
  CHECK(page.text ==
        "# TYPE e histogram\ne_bucket{le=\"-2\"} 1\ne_bucket{le=\"-1\"} 3\n"
        "e_bucket{le=\"0\"} 4\ne_bucket{le=\"+Inf\"} 4\ne_count 4\n");
}

TEST_CASE("random metrics come back from the page as they were") {
  std::mt19937 random{7};
  const auto word = [&] {
    std::string out;
    for (auto n = 1 + random() % 6; n > 0; --n) out.push_back("ab.-_ \"\\\n\xc3\xa9\xff{},="[random() % 17]);
    return out;
  };
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, std::string> expected;
    std::string metrics;
    for (int m = 0; m < 5; ++m) {
      const std::string name = "m" + std::to_string(m);
      std::string points;
      const bool counter = random() % 2 == 0;
      for (int p = 0; p < 4; ++p) {
        const auto value = static_cast<std::int64_t>(random() % 100000);
        // The label that tells series apart is plain; the other one is hostile and must break nothing.
        points += int_point(value, label(7, "z", std::to_string(p)) + label(7, "k" + word(), word()));
        expected[name + (counter ? "_total" : "") + " " + std::to_string(p)] = std::to_string(value);
      }
      metrics += metric(name, counter ? sum(points, true) : gauge(points), "", word());
    }
    for (const format how : {format::text, format::openmetrics}) {
      const parsed got = parse(render(request(metrics), how).text);
      REQUIRE(got.sound);
      std::map<std::string, std::string> seen;
      for (const auto& [name, value] : got.samples) {
        const std::size_t z = name.rfind("z=\"");
        REQUIRE(z != std::string::npos);
        seen[name.substr(0, name.find('{')) + " " + name.substr(z + 3, 1)] = value;
      }
      CHECK(seen == expected);
    }
  }
}

TEST_CASE("bytes that are no OTLP never break a page") {
  std::mt19937 random{3};
  const std::string good = request(metric("a", sum(int_point(3, label(7, "k", "v")), true), "s", "h") +
                                       metric("h", histogram(bytes(1, fixed(4, 1) + packed(6, {1})))) +
                                       metric("e", exponential(bytes(1, fixed(4, 1) + bytes(8, bytes(2, "\x01"))))),
                                   bytes(1, "scope"), label(1, "r", "1"));
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (auto n = 1 + random() % 4; n > 0; --n) bad[random() % bad.size()] = static_cast<char>(random());
    bad.resize(bad.size() - random() % 3);
    CHECK(parse(render(bad, round % 2 == 0 ? format::text : format::openmetrics).text).sound);
  }
}
