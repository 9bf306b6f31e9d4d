// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/messaging/consumer.hpp>
#include <otlpkit/messaging/memory_broker.hpp>
#include <otlpkit/messaging/producer.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;

namespace {

const source_info kafka{.broker = {.system = "kafka"}, .destination = "orders"};

}  // namespace

TEST_CASE("receiving links to where messages came from, and an empty answer makes no span and no count") {
  recorded out;
  memory_broker broker;
  traced_producer to{broker};
  auto end = broker.subscribe("orders", "billing", "one");
  traced_consumer in{*end};
  CHECK(in.receive(10, 0ms).empty());
  CHECK(out.spans().empty());
  to.publish("orders", {.body = "a"});
  to.publish("orders", {.body = "b"});
  const auto got = in.receive(10, 0ms);
  REQUIRE(got.size() == 2);
  const auto spans = out.spans();
  const auto& received = recorded::only(spans, "receive orders");
  CHECK(received.kind == 3);
  CHECK(received.attributes["messaging.operation.type"] == "receive");
  CHECK(received.attributes["messaging.consumer.group.name"] == "billing");
  CHECK(received.attributes["messaging.batch.message_count"] == 2);
  REQUIRE(received.links.size() == 2);
  CHECK(received.links[0].span_id == spans[0].span_id);
  CHECK(received.links[1].span_id == spans[1].span_id);
  CHECK(received.links[1].attributes["messaging.message.id"] == got[1].id);
  CHECK(received.end >= received.start);
  CHECK(out.metric("messaging.client.consumed.messages")
            ["messaging.consumer.group.name=billing,messaging.destination.name=orders,messaging.operation.name=receive,"
             "messaging.system=memory"] == 2);
  CHECK(in.ack(got) == 2);
  const auto acked = out.spans().at(0);
  CHECK(acked.name == "ack orders");
  CHECK(acked.kind == 3);
  CHECK(acked.attributes["messaging.operation.type"] == "settle");
  CHECK(acked.attributes["messaging.batch.message_count"] == 2);
  CHECK(acked.links.size() == 2);
}

TEST_CASE("receive may give one message or none") {
  recorded out;
  struct one_by_one {
    std::optional<message> next = message{.body = "a", .id = "7"};
    std::optional<message> receive() { return std::exchange(next, std::nullopt); }
  } mine;
  traced_consumer in{mine, {.source = kafka}};
  CHECK(in.receive().has_value());
  CHECK_FALSE(in.receive().has_value());
  const auto received = out.all.take_one();
  CHECK(received.attributes["messaging.message.id"] == "7");
  CHECK_FALSE(received.attributes.contains("messaging.batch.message_count"));
}

TEST_CASE("receive may give an expected: messages, or an error that is recorded") {
  recorded out;
  struct received {
    std::vector<message> all{};
    std::string why{};
    explicit operator bool() const { return has_value(); }
    [[nodiscard]] bool has_value() const { return why.empty(); }
    [[nodiscard]] const std::vector<message>& operator*() const { return all; }
    [[nodiscard]] const std::string& error() const { return why; }
  };
  struct polled {
    received next;
    received receive() { return next; }
  } mine{{.all = {{.body = "a"}, {.body = "b"}}}};
  traced_consumer in{mine, {.source = kafka}};
  CHECK(in.receive().has_value());
  CHECK(out.all.take_one().attributes["messaging.batch.message_count"] == 2);
  mine.next = {.why = "no broker"};
  CHECK_FALSE(in.receive().has_value());
  CHECK(out.all.take_one().is_error());
}
