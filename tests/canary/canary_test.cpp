// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/canary/router.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using otlpkit::canary::reason;
using otlpkit::canary::rollout;
using otlpkit::canary::router;
using otlpkit::canary::variant;

namespace {

// The page's example.
struct user {
  std::string id, group;
};
otlpkit::canary::router checkout{{.name = "checkout"}, {.variants = {{.percentage = 10, .groups = {"staff"}}}}};

std::string check_out(const user& who) {
  OTLPKIT_SPAN("caller checkout");
  const auto chosen = checkout.decide({.key = who.id, .group = who.group});
  const otlpkit::baggage_scope with{chosen.carried()};  // whoever is called decides likewise
  return chosen.canary() ? "new checkout" : "checkout";
}

}  // namespace

TEST_CASE("the page's example: staff get the new checkout, others by percentage, and the span says so") {
  recorded out;
  CHECK(check_out({"u-1", "staff"}) == "new checkout");
  const auto spans = out.spans();
  const auto& s = recorded::only(spans, "caller checkout");
  CHECK(s.attributes.at("otlpkit.canary.name").as_string() == "checkout");
  CHECK(s.attributes.at("otlpkit.canary.variant").as_string() == "canary");
  CHECK(s.attributes.at("otlpkit.canary.reason").as_string() == "group");
  REQUIRE(s.events.size() == 1);
  CHECK(s.events[0].name == "feature_flag.evaluation");
  CHECK(s.events[0].attributes.at("feature_flag.key").as_string() == "checkout");
  CHECK(s.events[0].attributes.at("feature_flag.result.variant").as_string() == "canary");
  CHECK(s.events[0].attributes.at("feature_flag.result.reason").as_string() == "targeting_match");
  CHECK(out.metric("otlpkit.canary.decisions")
            .at("otlpkit.canary.name=checkout,otlpkit.canary.reason=group,otlpkit.canary.variant=canary") == 1);
}

TEST_CASE("rules are asked in their order: forced, header, baggage, group, percentage, default") {
  recorded out;
  std::optional<otlpkit::span_guard> caller;
  caller.emplace(otlpkit::span_name{"caller"});
  router r{{.name = "pay"},
           {.variants = {{.name = "canary", .percentage = 0, .groups = {"staff", "beta"}},
                         {.name = "next", .percentage = 100}}}};
  const std::string_view groups[] = {"eu", "beta"};
  const auto decided = [&](const otlpkit::canary::subject& s) {
    const auto d = r.decide(s);
    return d.variant() + " " + std::string{to_string(d.why())};
  };
  CHECK(decided({}) == "stable default");
  CHECK(decided({.key = "k"}) == "next percentage");
  CHECK(decided({.key = "k", .groups = groups}) == "canary group");
  CHECK(decided({.key = "k", .group = "nobody"}) == "next percentage");
  {
    const otlpkit::baggage_scope with{otlpkit::current_baggage().with("otlpkit.canary.pay", "stable")};
    CHECK(decided({.key = "k", .group = "staff"}) == "stable baggage");
    CHECK(decided({.key = "k", .group = "staff", .header = "next"}) == "next header");
    CHECK(decided({.key = "k", .header = "unknown"}) == "stable baggage");
    r.force("canary");
    CHECK(decided({.key = "k", .header = "next"}) == "canary forced");
    r.force("stable");
    CHECK(decided({.key = "k", .header = "next"}) == "stable forced");
    CHECK(r.decide({}).stable());
    r.release();
  }
  CHECK(decided({.key = "k"}) == "next percentage");
  CHECK(out.metric("otlpkit.canary.changes").at("otlpkit.canary.name=pay") == 3);
  caller.reset();
  const auto spans = out.spans();
  CHECK(recorded::events(recorded::only(spans, "caller")).find("otlpkit.canary.changed") != std::string::npos);
}

TEST_CASE("a decision that came as baggage is followed only where that is wanted") {
  router follows{{.name = "a"}}, decides{{.name = "a", .follow_baggage = false}};
  const otlpkit::baggage_scope with{otlpkit::current_baggage().with("otlpkit.canary.a", "canary")};
  CHECK(follows.decide({}).canary());
  CHECK(decides.decide({}).stable());
  CHECK(decides.decide({}).carried().get("otlpkit.canary.a") == "stable");
}

TEST_CASE("the header is taken from a carrier, in any case of its name") {
  const router r{{.name = "a", .header = "x-release"}};
  const std::map<std::string, std::string> headers{{"X-Release", "canary"}},
      large{{"x-release", std::string(5000, 'c')}};
  CHECK(r.decide(headers, {}).why() == reason::header);
  CHECK(r.decide(headers, {}).canary());
  CHECK(r.decide(large, {}).stable());
  CHECK(router{{.name = "a", .header = ""}}.decide(headers, {}).stable());
}

TEST_CASE("a key keeps its variant, in every process: where it stands is fixed for ever") {
  const router a{{.name = "checkout"}, {.variants = {{.percentage = 50}}}};
  std::string chosen;
  for (const char* key : {"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"})
    chosen += a.decide({.key = key}).canary() ? 'c' : 's';
  CHECK(chosen == "ccscccsc");
}

TEST_CASE("with one variant, raising the percentage takes it from nobody, and shares are what they say") {
  recorded out;
  const otlpkit::span_guard caller{"caller"};
  router r{{.name = "grow"}};
  std::set<int> before;
  for (const double percent : {0.0, 1.0, 10.0, 35.5, 100.0}) {
    r.set_percentage(percent);
    std::set<int> now;
    for (int i = 0; i < 20'000; ++i) {
      if (r.decide({.key = "user-" + std::to_string(i)}).canary()) now.insert(i);
    }
    CHECK(std::includes(now.begin(), now.end(), before.begin(), before.end()));
    CHECK(static_cast<double>(now.size()) == doctest::Approx(200 * percent).epsilon(0.1).scale(1000));
    before = now;
  }
  CHECK(before.size() == 20'000);
  CHECK(out.metric("otlpkit.canary.percentage").at("otlpkit.canary.name=grow,otlpkit.canary.variant=canary") == 100);
}

TEST_CASE("a variant that is no more has no share") {
  recorded out;
  router r{{.name = "gone"}, {.variants = {{.name = "a", .percentage = 20}, {.name = "b", .percentage = 5}}}};
  r.change({.variants = {{.name = "b", .percentage = 30}}});
  const auto shares = out.metric("otlpkit.canary.percentage");
  CHECK(shares.at("otlpkit.canary.name=gone,otlpkit.canary.variant=a") == 0);
  CHECK(shares.at("otlpkit.canary.name=gone,otlpkit.canary.variant=b") == 30);
}

TEST_CASE("two routers choose independently, unless they have a salt in common") {
  const rollout half{.variants = {{.percentage = 50}}};
  const router a{{.name = "a"}, half}, b{{.name = "b"}, half}, c{{.name = "c", .salt = "a"}, half};
  int same_ab = 0, same_ac = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = std::to_string(i);
    const bool in_a = a.decide({.key = key}).canary();
    same_ab += in_a == b.decide({.key = key}).canary();
    same_ac += in_a == c.decide({.key = key}).canary();
  }
  CHECK(same_ab > 800);
  CHECK(same_ab < 1200);
  CHECK(same_ac == 2000);
}

TEST_CASE("what makes no sense is refused, and nothing has changed") {
  CHECK_THROWS_AS(router{{.name = ""}}, otlpkit::config_error);
  CHECK_THROWS_AS(router{{.name = "a b"}}, otlpkit::config_error);
  CHECK_THROWS_AS(router{{.stable = ""}}, otlpkit::config_error);
  CHECK_THROWS_AS((router{{}, {.variants = {{.name = "stable"}}}}), otlpkit::config_error);
  CHECK_THROWS_AS((router{{}, {.variants = {{.percentage = 60}, {.name = "b", .percentage = 41}}}}),
                  otlpkit::config_error);
  router r{{}, {.variants = {{.percentage = 30}}}};
  CHECK_THROWS_AS(r.set_percentage(100.5), otlpkit::config_error);
  CHECK_THROWS_AS(r.set_percentage(-1), otlpkit::config_error);
  CHECK_THROWS_AS(r.set_percentage(5, "stable"), otlpkit::config_error);
  CHECK_THROWS_AS(r.force("nobody"), otlpkit::config_error);
  CHECK_THROWS_AS(r.change([](rollout&) { throw 7; }), int);
  CHECK(r.current().variants[0].percentage == 30);
  CHECK(r.current().forced.empty());
}

TEST_CASE("hostile keys: a mebibyte, and bytes that are no text") {
  router r{{.name = "hostile"}, {.variants = {{.percentage = 50, .groups = {std::string(1'000'000, 'g')}}}}};
  const std::string large(std::size_t{1} << 20, 'k'), binary{"\0\xff\xfe\x80 key", 8};
  CHECK(r.decide({.key = large}).variant() == r.decide({.key = large}).variant());
  CHECK(r.decide({.key = binary}).variant() == r.decide({.key = binary}).variant());
  CHECK_FALSE(r.decide({.key = "k", .header = large}).why() == reason::header);
  CHECK(r.decide({.group = std::string(1'000'000, 'g')}).why() == reason::group);
}

TEST_CASE("random rollouts give what a simple oracle says") {
  std::mt19937_64 engine{7};
  const auto below = [&engine](std::uint64_t n) { return engine() % n; };
  for (int round = 0; round < 2000; ++round) {
    rollout plan{.variants = {}};
    double left = 100;
    for (std::uint64_t i = below(4); i > 0; --i) {
      const double share = left * static_cast<double>(below(101)) / 100;
      left -= share;
      variant v{.name = "v" + std::to_string(i), .percentage = share};
      if (below(2) == 0) v.groups.push_back("g" + std::to_string(below(3)));
      plan.variants.push_back(v);
    }
    if (!plan.variants.empty() && below(5) == 0) plan.forced = plan.variants[0].name;
    const router r{{.name = "oracle"}, plan};
    const std::string key = "key" + std::to_string(below(1000)), group = "g" + std::to_string(below(4));
    const std::string header = below(3) == 0 ? "v1" : "";
    std::string expected = "stable";
    const auto has = [&](const std::string& name) {
      return std::any_of(plan.variants.begin(), plan.variants.end(), [&](const variant& v) { return v.name == name; });
    };
    const auto grouped = std::find_if(plan.variants.begin(), plan.variants.end(), [&](const variant& v) {
      return std::find(v.groups.begin(), v.groups.end(), group) != v.groups.end();
    });
    if (!plan.forced.empty()) {
      expected = plan.forced;
    } else if (has(header)) {
      expected = header;
    } else if (grouped != plan.variants.end()) {
      expected = grouped->name;
    } else {
      const double place = otlpkit::canary::detail::place_of(key, otlpkit::resilience::hash_key("oracle", {}));
      double sum = 0;
      for (const variant& v : plan.variants) {
        if (place >= sum && place < sum + v.percentage) expected = v.name;
        sum += v.percentage;
      }
    }
    REQUIRE(r.decide({.key = key, .group = group, .header = header}).variant() == expected);
  }
}

TEST_CASE("threads that decide see each change as a whole while others change everything") {
  router r{{.name = "stress"}, {.variants = {{.name = "a-0", .percentage = 100, .groups = {"a-0"}}}}};
  std::atomic<bool> stop{false};
  std::atomic<long> torn{0}, decided{0};
  std::vector<std::thread> readers;
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&] {
      while (!stop.load()) {
        const rollout now = r.current();
        if (now.variants.size() != 1 || now.variants[0].groups[0] != now.variants[0].name) ++torn;
        const auto d = r.decide({.key = "k"});
        if (d.variant().compare(0, 2, "a-") != 0) ++torn;
        ++decided;
      }
    });
  }
  std::thread other{[&] {
    for (int i = 0; i < 500; ++i)
      r.change(rollout{
          .variants = {{.name = "a-x" + std::to_string(i), .percentage = 100, .groups = {"a-x" + std::to_string(i)}}}});
  }};
  for (int i = 0; i < 500; ++i) {
    r.change([i](rollout& plan) {
      const std::string name = "a-" + std::string(static_cast<std::size_t>(1 + i % 40), 'n');
      plan.variants = {{.name = name, .percentage = 100, .groups = {name}}};
    });
  }
  other.join();
  while (decided.load() < 1000) std::this_thread::yield();
  stop = true;
  for (std::thread& t : readers) t.join();
  CHECK(torn == 0);
}
