// SPDX-License-Identifier: MIT
#include <otlpkit/testing/memory_exporter.hpp>
#include <otlpkit/testing/trace_snapshot.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace otlp_bytes;
using namespace otlpkit::testing;
namespace sdk = otlpkit::sdk;

TEST_CASE("spans come back as values with everything they hold") {
  memory_exporter memory;
  sdk::export_result result{99, sdk::drop_reason::failed};
  const span s{.id = 5,
               .parent = 4,
               .name = "op",
               .start = 10,
               .end = 30,
               .fields = {{"text", any("x")},
                          {"n", any(42)},
                          {"half", any(0.5)},
                          {"yes", any(true)},
                          {"none", ""},
                          {"list", bytes(5, bytes(1, any(1)))},
                          {"map", bytes(6, bytes(1, key_value("k", any("v"))))}},
               .error = "bad",
               .events = {event("retry", epoch + 20, {{"attempt", any(2)}})},
               .links = {bytes(1, id16(9)) + bytes(2, id8(7)) + bytes(3, "k=v") + bytes(4, key_value("a", any(1))) +
                         fixed(6, 0x301, 4)},
               .kind = 3,
               .remote = true};
  memory.send(batch({s}), [&](sdk::export_result r) { result = r; });
  CHECK(result.dropped == 0);
  CHECK(result.reason == sdk::drop_reason::none);
  CHECK(memory.items(sdk::signal::traces) == 1);
  CHECK(memory.items(sdk::signal::logs) == 0);

  const span_record r = only(memory.spans(), "op");
  CHECK(r.ok);
  CHECK(r.trace_id == "01020304050607080000000000000001");
  CHECK(r.span_id == "0000000000000005");
  CHECK(r.parent_id == "0000000000000004");
  CHECK(r.kind == 3);
  CHECK(r.flags == 0x301);
  CHECK(r.start == epoch + 10);
  CHECK(r.duration() == 20);
  CHECK(r.is_error());
  CHECK_FALSE(r.is_root());
  CHECK(r.status_message == "bad");
  CHECK(r.service == "shop");
  CHECK(r.resource["service.name"] == "shop");
  CHECK(r.scope == "test");
  CHECK(r.attributes["text"] == "x");
  CHECK(r.attributes["n"] == 42);
  CHECK(r.attributes["n"] == std::uint64_t{42});
  CHECK(r.attributes["half"] == 0.5);
  CHECK(r.attributes["yes"] == true);
  CHECK(r.attributes["none"] == value{});
  CHECK(r.attributes["list"].elements().at(0) == 1);
  CHECK(r.attributes["map"].entries().at(0).second == "v");
  CHECK(r.attributes["map"].text() == "{k=v}");
  REQUIRE(r.event("retry") != nullptr);
  CHECK(r.event("retry")->attributes["attempt"] == 2);
  CHECK(r.event("retry")->time == epoch + 20);
  CHECK(r.event("none") == nullptr);
  REQUIRE(r.links.size() == 1);
  CHECK(r.links[0].span_id == "0000000000000007");
  CHECK(r.links[0].trace_state == "k=v");
  CHECK(r.links[0].flags == 0x301);
  CHECK(r.links[0].attributes["a"] == 1);
}

TEST_CASE("a value equals only literals of its own kind") {
  const auto of = [](const std::string& bytes) { return value{otlpkit::value_view{bytes}}; };
  CHECK(of(any(1)) == 1);
  CHECK_FALSE(of(any(1)) == 1.0);
  CHECK_FALSE(of(any(1)) == true);
  CHECK_FALSE(of(any(1)) == "1");
  CHECK_FALSE(of(any("1")) == 1);
  CHECK_FALSE(of(any(true)) == 1);
  CHECK_FALSE(of(any(-1)) == 255);
  CHECK_FALSE(of(any(-1)) == ~std::uint64_t{0});
  CHECK_FALSE(of(any("")) == value{});
  CHECK(of(any("a")) == of(any("a")));
  CHECK_FALSE(of(any("a")) == of(bytes(7, "a")));
}

TEST_CASE("an attribute that is not there is named, with those that are") {
  memory_exporter memory;
  memory.send(batch({{.fields = {{"present", any(1)}}}}), [](sdk::export_result) {});
  const span_record r = only(memory.spans(), "op");
  CHECK_FALSE(r.attributes.contains("absent"));
  CHECK_THROWS_WITH_AS(static_cast<void>(r.attributes["absent"]), "no attribute \"absent\"; there are: present",
                       std::out_of_range);
}

TEST_CASE("the exporter drops for the reason it is told, and forgets on demand") {
  memory_exporter memory;
  sdk::export_result result;
  memory.fail_as(sdk::drop_reason::unreachable);
  memory.send(batch({{}, {.id = 2}}), [&](sdk::export_result r) { result = r; });
  CHECK(result.dropped == 2);
  CHECK(result.reason == sdk::drop_reason::unreachable);
  CHECK(memory.spans().empty());
  memory.fail_as(sdk::drop_reason::none);
  memory.send(batch({{}}), [&](sdk::export_result r) { result = r; });
  CHECK(result.dropped == 0);
  CHECK(memory.spans().size() == 1);
  memory.clear();
  CHECK(memory.spans().empty());
}

TEST_CASE("requests are what a receiver would get") {
  memory_exporter memory;
  memory.send(batch({{.name = "a"}, {.id = 2, .name = "b"}}), [](sdk::export_result) {});
  const auto requests = memory.requests(sdk::signal::traces);
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].size() == memory.batches(sdk::signal::traces)[0]->bytes());
  const auto spans = decode_spans(requests[0]);
  REQUIRE(spans.size() == 2);
  CHECK(spans[1].name == "b");
  CHECK(spans[1].service == "shop");
  CHECK_THROWS_AS(static_cast<void>(decode_spans(requests[0].substr(0, 20))), std::invalid_argument);
}

TEST_CASE("the test's thread may look while the pipeline's thread sends") {
  memory_exporter memory;
  std::thread pipeline{[&] {
    for (int i = 0; i < 500; ++i) memory.send(batch({{.name = "op"}}), [](sdk::export_result) {});
  }};
  std::size_t seen = 0;
  while (seen < 500) {
    const std::size_t now = memory.items(sdk::signal::traces);
    CHECK(now >= seen);
    seen = now;
  }
  pipeline.join();
  CHECK(memory.spans().size() == 500);
}
