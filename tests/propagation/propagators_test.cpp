// SPDX-License-Identifier: MIT
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <support/count_allocations.hpp>
#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using headers = std::vector<std::pair<std::string, std::string>>;
using otlpkit::propagator;
using otlpkit::propagators;

const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct with_get {  // values by copy
  std::map<std::string, std::string> values;
  [[nodiscard]] std::string get(std::string_view name) const {
    const auto found = values.find(std::string{name});
    return found == values.end() ? std::string{} : found->second;
  }
  void set(std::string_view name, std::string_view value) { values[std::string{name}] = std::string{value}; }
};

struct with_optional {
  [[nodiscard]] std::optional<std::string> get(std::string_view name) const {
    return name == "traceparent" ? std::optional{parent} : std::nullopt;
  }
};

struct with_pointer {
  [[nodiscard]] const char* get(std::string_view name) const {
    return name == "traceparent" ? parent.c_str() : nullptr;
  }
};

struct with_all {
  headers values;
  template <class Each>
  void get_all(std::string_view name, Each&& each) const {
    for (const auto& [key, value] : values) {
      if (key == name) each(std::string{value});  // gone after the call
    }
  }
};

/// As little of a carrier as there can be: room for one header, no memory of its own.
struct slot {
  std::array<char, 64> text{};
  std::size_t size = 0;
  void set(std::string_view, std::string_view value) noexcept { size = value.copy(text.data(), text.size()); }
  [[nodiscard]] std::string_view get(std::string_view name) const noexcept {
    return name == "traceparent" ? std::string_view{text.data(), size} : std::string_view{};
  }
};

}  // namespace

TEST_CASE("every kind of carrier is read and written") {
  const auto is_parent = [](const auto& carrier) {
    const otlpkit::remote_context c = otlpkit::extract(carrier);
    return support::hex(c.span.span) == "b7ad6b7169203331" && c.span.remote;
  };
  CHECK(is_parent(std::map<std::string, std::string>{{"Traceparent", parent}}));
  CHECK(is_parent(std::unordered_map<std::string, std::string>{{"traceparent", parent}}));
  CHECK(is_parent(std::multimap<std::string, std::string>{{"traceparent", parent}}));
  CHECK(is_parent(headers{{"host", "x"}, {"traceparent", parent}}));
  CHECK(is_parent(std::vector<std::pair<std::string_view, std::string_view>>{{"traceparent", parent}}));
  CHECK(is_parent(with_get{{{"traceparent", parent}}}));
  CHECK(is_parent(with_optional{}));
  CHECK(is_parent(with_pointer{}));
  CHECK(is_parent(with_all{{{"traceparent", parent}}}));
  CHECK(is_parent([](std::string_view name) { return name == "traceparent" ? parent : std::string{}; }));

  const otlpkit::remote_scope remote{otlpkit::extract(headers{{"traceparent", parent}})};
  const auto writes = [](auto carrier) {
    otlpkit::inject(carrier);
    return otlpkit::extract(carrier).span.span == otlpkit::current_context().span;
  };
  CHECK(writes(std::map<std::string, std::string>{}));
  CHECK(writes(std::unordered_map<std::string, std::string>{}));
  CHECK(writes(std::multimap<std::string, std::string>{{"traceparent", "old"}, {"TraceParent", "older"}}));
  CHECK(writes(headers{{"TRACEPARENT", "old"}, {"a", "b"}, {"traceparent", "older"}}));
  CHECK(writes(with_get{}));
  CHECK(writes(slot{}));
  std::string seen;
  otlpkit::inject([&](std::string_view name, std::string_view value) { seen.append(name).append("=").append(value); });
  CHECK(seen == "traceparent=" + parent);
}

TEST_CASE("headers that repeat are seen through a carrier that tells of them") {
  CHECK_FALSE(otlpkit::extract(with_all{{{"traceparent", parent}, {"traceparent", parent}}}).valid());
  const auto c = otlpkit::extract(with_all{
      {{"traceparent", parent}, {"tracestate", "a=1"}, {"tracestate", "b=2"}, {"baggage", "x=1"}, {"baggage", "y=2"}}});
  CHECK(c.span.state.header() == "a=1,b=2");
  CHECK(c.baggage.size() == 2);
}

TEST_CASE("a traceparent is written and read without memory from the heap") {
  support::recording recording;
  const otlpkit::span_guard span{"root"};
  slot carrier;
  support::allocations = 0;
  for (int i = 0; i < 100; ++i) {
    otlpkit::inject(carrier);
    const otlpkit::remote_context c = otlpkit::extract(carrier);
    if (c.span.span != span.context().span) FAIL("another span came back");
  }
  CHECK(support::allocations == 0);
}

TEST_CASE("a carrier that throws loses headers, nothing else") {
  const otlpkit::remote_scope remote{otlpkit::extract(headers{{"traceparent", parent}})};
  otlpkit::inject([](std::string_view, std::string_view) { throw std::runtime_error{"full"}; });
  CHECK_FALSE(otlpkit::extract([](std::string_view) -> std::string { throw std::runtime_error{"gone"}; }).valid());
  CHECK(otlpkit::current_context().valid());
}

TEST_CASE("without telemetry what came from outside goes on to the next") {
  headers out;
  {
    const otlpkit::remote_context c = otlpkit::extract(headers{{"traceparent", parent}, {"baggage", "a=1"}});
    const otlpkit::span_guard span{"serve", {}, {.kind = otlpkit::span_kind::server, .parent = c.span}};
    const otlpkit::baggage_scope carried{c.baggage};
    OTLPKIT_SPAN("inner");
    otlpkit::inject(out);
  }
  CHECK(out == headers{{"traceparent", parent}, {"baggage", "a=1"}});
  headers none;
  otlpkit::inject(none);
  CHECK(none.empty());
}

TEST_CASE("the formats of a choice are used one after the other, and what a later one reads wins") {
  const headers in{{"traceparent", parent}, {"b3", std::string(32, '1') + "-" + std::string(16, '2') + "-1"}};
  constexpr propagators w3c_then_b3{propagator::tracecontext, propagator::b3};
  constexpr propagators b3_then_w3c{propagator::b3, propagator::tracecontext};
  CHECK(support::hex(w3c_then_b3.extract(in).span.span) == std::string(16, '2'));
  CHECK(support::hex(b3_then_w3c.extract(in).span.span) == "b7ad6b7169203331");
  headers broken = in;
  broken[1].second = "nonsense";
  CHECK(support::hex(w3c_then_b3.extract(broken).span.span) == "b7ad6b7169203331");
  headers no_parent = in;
  no_parent[0].second = "nonsense";
  CHECK(support::hex(b3_then_w3c.extract(no_parent).span.span) == std::string(16, '2'));
  CHECK_FALSE(propagators{}.extract(in).valid());
  CHECK_FALSE(propagators{propagator::baggage}.extract(in).valid());
  headers out;
  propagators{propagator::tracecontext, propagator::b3, propagator::tracecontext}.inject(
      out, w3c_then_b3.extract(broken).span, {});
  CHECK(out.size() == 2);
}

TEST_CASE("a choice says which headers it writes") {
  std::string all;
  propagators{propagator::b3multi, propagator::tracecontext, propagator::baggage, propagator::b3, propagator::jaeger}
      .fields([&all](std::string_view name) { all.append(name).append(" "); });
  CHECK(all ==
        "X-B3-TraceId X-B3-SpanId X-B3-Sampled X-B3-Flags traceparent tracestate baggage b3 uber-trace-id uberctx- ");
}

TEST_CASE("the formats of the process can be chosen, and are W3C's before") {
  CHECK(otlpkit::current_propagators() == propagators{propagator::tracecontext, propagator::baggage});
  const propagators before = otlpkit::set_propagators({propagator::b3});
  CHECK(before == propagators::standard());
  const otlpkit::remote_scope remote{otlpkit::extract(
      headers{{"traceparent", parent}, {"b3", std::string(32, '1') + "-" + std::string(16, '2') + "-1"}})};
  headers out;
  otlpkit::inject(out);
  CHECK(out == headers{{"b3", std::string(32, '1') + "-" + std::string(16, '2') + "-1"}});
  otlpkit::set_propagators({});
  out.clear();
  otlpkit::inject(out);
  CHECK(out.empty());
  otlpkit::set_propagators(before);
}

TEST_CASE("a scope without a valid parent begins a trace of its own inside another span") {
  support::recording recording;
  const otlpkit::span_guard outer{"outer"};
  const otlpkit::remote_scope remote{otlpkit::extract(headers{})};
  const otlpkit::span_guard inner{"inner"};
  CHECK(inner.context().trace != outer.context().trace);
}
