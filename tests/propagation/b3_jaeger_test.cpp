// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>

#include "support/span_recording.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using headers = std::vector<std::pair<std::string, std::string>>;
using otlpkit::propagator;
using otlpkit::propagators;

const std::string trace = "0af7651916cd43dd8448eb211c80319c";
const std::string span = "b7ad6b7169203331";
constexpr propagators single{propagator::b3};
constexpr propagators multi{propagator::b3multi};
constexpr propagators jaeger{propagator::jaeger};

/// What `out` sends of what `in` reads, without an SDK.
headers through(const propagators& in, const headers& h, const propagators& out) {
  const otlpkit::remote_context c = in.extract(h);
  headers sent;
  out.inject(sent, c.span, c.baggage);
  return sent;
}

}  // namespace

TEST_CASE("a b3 header passes through with its sampling state") {
  for (const char* state : {"", "-0", "-1", "-d"}) {
    const headers h{{"b3", trace + "-" + span + state}};
    CHECK(through(single, h, single) == h);
    CHECK(through(multi, h, single) == h);
  }
  CHECK(through(single, {{"B3", trace + "-" + span + "-1-0102030405060708"}}, single) ==
        headers{{"b3", trace + "-" + span + "-1"}});
}

TEST_CASE("the debug flag of b3 implies sampled and survives a span") {
  const auto c = single.extract(headers{{"b3", trace + "-" + span + "-d"}});
  CHECK(c.span.sampled());
  support::recording recording;
  const otlpkit::remote_scope remote{c};
  const otlpkit::span_guard guard{"serve"};
  headers out;
  propagators{propagator::b3, propagator::b3multi, propagator::tracecontext, propagator::jaeger}.inject(out);
  std::map<std::string, std::string> sent{out.begin(), out.end()};
  CHECK(sent["b3"].ends_with("-d"));
  CHECK(sent["X-B3-Flags"] == "1");
  CHECK(!sent.contains("X-B3-Sampled"));
  CHECK(sent["uber-trace-id"].ends_with(":3"));
  CHECK(sent["traceparent"].ends_with("-01"));
  CHECK(sent["X-B3-TraceId"] == trace);
  CHECK(sent["X-B3-SpanId"] != span);
  CHECK(!sent.contains("X-B3-ParentSpanId"));
}

TEST_CASE("a trace id of 64 bits is padded on the left") {
  const auto c = single.extract(headers{{"b3", "8448eb211c80319c-" + span + "-1"}});
  CHECK(support::hex(c.span.trace) == "00000000000000008448eb211c80319c");
  CHECK(through(multi, {{"x-b3-traceid", "8448eb211c80319c"}, {"x-b3-spanid", span}}, multi) ==
        headers{{"X-B3-TraceId", "00000000000000008448eb211c80319c"}, {"X-B3-SpanId", span}});
}

TEST_CASE("the headers of multi b3 pass through") {
  const headers ids{{"X-B3-TraceId", trace}, {"X-B3-SpanId", span}};
  const auto with = [&ids](const char* name, const char* value) {
    headers h = ids;
    h.emplace_back(name, value);
    return h;
  };
  CHECK(through(multi, ids, multi) == ids);
  CHECK(through(single, ids, multi) == ids);
  for (const char* yes : {"1", "true", "True"}) {
    CHECK(through(multi, with("X-B3-Sampled", yes), multi) == with("X-B3-Sampled", "1"));
  }
  for (const char* no : {"0", "false"}) {
    CHECK(through(multi, with("X-B3-Sampled", no), multi) == with("X-B3-Sampled", "0"));
  }
  CHECK(through(multi, with("X-B3-Flags", "1"), multi) == with("X-B3-Flags", "1"));
  CHECK(through(multi, with("X-B3-Flags", "0"), multi) == ids);
  headers debug = with("X-B3-Sampled", "0");
  debug.emplace_back("X-B3-Flags", "1");
  CHECK(through(multi, debug, multi) == with("X-B3-Flags", "1"));
}

TEST_CASE("b3 in one header wins over b3 in several, unless it cannot be used") {
  const headers both{
      {"X-B3-TraceId", std::string(32, '1')}, {"X-B3-SpanId", std::string(16, '2')}, {"b3", trace + "-" + span + "-1"}};
  for (const propagators& p : {single, multi}) CHECK(support::hex(p.extract(both).span.trace) == trace);
  headers broken = both;
  broken[2].second = "0";
  CHECK(support::hex(single.extract(broken).span.trace) == std::string(32, '1'));
}

TEST_CASE("invalid b3 headers are no parent") {
  for (const std::string& bad : {std::string{},
                                 std::string{"0"},
                                 std::string{"1"},
                                 std::string{"d"},
                                 std::string{"-"},
                                 trace,
                                 trace + "-",
                                 trace + "-" + span + "-",
                                 trace + "-" + span + "-2",
                                 trace + "-" + span + "-1-",
                                 trace + "-" + span + "-1-12",
                                 trace + "-" + span + "-1-0102030405060708-1",
                                 trace + "-" + span + "-11",
                                 trace + span + "-1",
                                 std::string(32, '0') + "-" + span + "-1",
                                 trace + "-" + std::string(16, '0') + "-1",
                                 "0AF7651916CD43DD8448EB211C80319C-" + span + "-1",
                                 trace.substr(1) + "-" + span + "-1",
                                 "0" + trace + "-" + span + "-1",
                                 trace + "-" + span.substr(1) + "-1",
                                 trace.substr(8) + "-" + span + "-1"}) {
    CAPTURE(bad);
    CHECK_FALSE(single.extract(headers{{"b3", bad}}).valid());
  }
  for (const headers& bad : {headers{{"X-B3-TraceId", trace}}, headers{{"X-B3-SpanId", span}},
                             headers{{"X-B3-TraceId", trace + "0"}, {"X-B3-SpanId", span}},
                             headers{{"X-B3-TraceId", trace + std::string(1000, 'a')}, {"X-B3-SpanId", span}},
                             headers{{"X-B3-TraceId", trace}, {"X-B3-SpanId", span}, {"X-B3-Sampled", "maybe"}}}) {
    CHECK_FALSE(multi.extract(bad).valid());
  }
}

TEST_CASE("a deferred decision is passed on without an SDK, and taken by the root sampler with one") {
  const headers undecided{{"b3", trace + "-" + span}};
  CHECK(through(single, undecided, single) == undecided);
  {
    support::recording recording;
    CHECK(through(single, undecided, single) == headers{{"b3", trace + "-" + span + "-1"}});
  }
  otlpkit::always_off_sampler off;
  support::recording recording{{.sampler = &off}};
  CHECK(through(single, undecided, single) == headers{{"b3", trace + "-" + span + "-0"}});
}

TEST_CASE("jaeger headers are read with missing zeros and percent-encoded, and written in full") {
  const headers full{{"uber-trace-id", trace + ":" + span + ":0:1"}};
  CHECK(through(jaeger, full, jaeger) == full);
  CHECK(through(jaeger, {{"Uber-Trace-Id", "af7651916cd43dd8448eb211c80319c:" + span + ":abc:1"}}, jaeger) == full);
  CHECK(through(jaeger, {{"uber-trace-id", trace + "%3A" + span + "%3a0%3A1"}}, jaeger) == full);
  CHECK(through(jaeger, {{"uber-trace-id", "1:2:0:0"}}, jaeger) ==
        headers{{"uber-trace-id", std::string(31, '0') + "1:" + std::string(15, '0') + "2:0:0"}});
  CHECK(through(jaeger, {{"uber-trace-id", "1:2::3"}}, jaeger)[0].second.ends_with(":3"));
  CHECK(jaeger.extract(headers{{"uber-trace-id", "1:2:0:2"}}).span.sampled());
  for (const std::string& bad :
       {std::string{}, std::string{":::"}, std::string{"1:2:3"}, std::string{"1:2:3:4:5"}, std::string{"0:2:0:1"},
        std::string{"1:0:0:1"}, std::string{"x:2:0:1"}, std::string{"1:2:0:"}, std::string{"1:2:0:111"},
        std::string{"1:2:z:1"}, trace + "0:2:0:1", "1:" + span + "0:0:1", std::string(5000, '1')}) {
    CAPTURE(bad);
    CHECK_FALSE(jaeger.extract(headers{{"uber-trace-id", bad}}).valid());
  }
}

TEST_CASE("jaeger carries baggage in a header for each entry") {
  const headers in{{"uber-trace-id", "1:2:0:1"}, {"uberctx-user", "a%20b"}, {"UberCtx-x", "1"}, {"uberctx-", "none"}};
  const auto c = jaeger.extract(in);
  CHECK((c.baggage.size() == 2 && c.baggage.get("user") == "a b" && c.baggage.get("x") == "1"));
  headers out;
  jaeger.inject(out, c.span, c.baggage);
  std::map<std::string, std::string> sent{out.begin(), out.end()};
  CHECK((sent["uberctx-user"] == "a%20b" && sent["uberctx-x"] == "1"));
  CHECK(jaeger.extract(headers{{"uberctx-k", "\xFF"}}).baggage.empty());
}
