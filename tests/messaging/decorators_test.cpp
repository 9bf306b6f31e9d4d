// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/messaging/consumer.hpp>
#include <otlpkit/messaging/memory_broker.hpp>
#include <otlpkit/messaging/producer.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;
using otlpkit::span_guard;

namespace {

// The example of docs/messaging.md.
std::string bill_orders(broker& orders) {
  traced_producer out{orders};
  {
    OTLPKIT_SPAN("order.create");
    out.publish("orders", {.body = "book"});
  }
  auto subscription = orders.subscribe("orders", "billing", "worker-1");
  traced_consumer in{*subscription, {.relation = relation::continued}};
  std::string billed;
  in.consume([&](const message& m) { billed += m.body; });
  return billed;
}

/// A client library of somebody else's: its own message, its own way of failing.
struct kafka_message {
  std::map<std::string, std::string> fields{};
  std::string text{};
  std::string partition{};
  std::string conversation_id{};
  [[nodiscard]] auto& headers() { return fields; }
  [[nodiscard]] const auto& headers() const { return fields; }
  [[nodiscard]] const std::string& body() const { return text; }
};
struct kafka_producer {
  std::vector<kafka_message> sent{};
  bool down = false;
  void publish(std::string_view, kafka_message m) {
    if (down) throw std::runtime_error{"no broker"};
    sent.push_back(std::move(m));
  }
};
const broker_info kafka{.system = "kafka", .server_address = "kafka.local", .server_port = 9092, .client_id = "shop-1"};

const std::string theirs = "00-0102030405060708111213141516171a-2122232425262728-01";
std::string header(const message& m, std::string_view name) {
  for (const auto& [key, value] : m.headers) {
    if (key == name) return value;
  }
  return "";
}

std::string traceparent_of(const otlpkit::testing::span_record& s) {
  return "00-" + s.trace_id + "-" + s.span_id + "-03";
}

bool links_to(const otlpkit::testing::span_record& s, const otlpkit::testing::span_record& other) {
  return std::any_of(s.links.begin(), s.links.end(),
                     [&](const auto& l) { return l.span_id == other.span_id && l.trace_id == other.trace_id; });
}

}  // namespace

TEST_CASE("the page's example: what is sent is billed, in the trace of the order") {
  recorded out;
  memory_broker broker;
  CHECK(bill_orders(broker) == "book");
  CHECK(broker.size("orders") == 0);
  const auto spans = out.all.take();
  const auto& order = recorded::only(spans, "order.create");
  const auto& sent = recorded::only(spans, "send orders");
  const auto& processed = recorded::only(spans, "process orders");
  CHECK(sent.parent_id == order.span_id);
  CHECK(processed.parent_id == sent.span_id);
  CHECK(processed.trace_id == order.trace_id);
  CHECK(recorded::only(spans, "ack orders").parent_id == processed.span_id);
  CHECK(spans.size() == 5);
}

TEST_CASE("sending is a producer span whose context goes with the message") {
  recorded out;
  memory_broker broker;
  traced_producer to{broker, {.record_body_size = true}};
  message mine{.body = "1234"};
  std::string id;
  {
    const span_guard caller{"caller"};
    id = to.publish("orders", mine);
  }
  CHECK(mine.headers.empty());
  const auto spans = out.spans();
  const auto& sent = recorded::only(spans, "send orders");
  CHECK(sent.kind == 4);
  CHECK(sent.parent_id == recorded::only(spans, "caller").span_id);
  CHECK(sent.attributes["messaging.system"] == "memory");
  CHECK(sent.attributes["messaging.operation.type"] == "send");
  CHECK(sent.attributes["messaging.destination.name"] == "orders");
  CHECK(sent.attributes["messaging.message.id"] == id);
  CHECK(sent.attributes["messaging.message.body.size"] == 4);
  const auto got = broker.subscribe("orders", "g", "c")->receive(1, 0ms);
  CHECK(header(got.at(0), "traceparent") == traceparent_of(sent));
  CHECK(out.metric("messaging.client.sent.messages")
            ["messaging.destination.name=orders,messaging.operation.name=send,messaging.system=memory"] == 1);
  CHECK(out.metric("messaging.client.operation.duration")
            ["messaging.destination.name=orders,messaging.operation.name=send,messaging.operation.type=send,"
             "messaging.system=memory"] == 1);
}

TEST_CASE("messages and producers of one's own do, and a broker is described by the options") {
  recorded out;
  kafka_producer client;
  traced_producer to{client, {.broker = kafka, .destination_template = "inbox.{user}", .operation = "publish"}};
  to.publish("inbox.42", kafka_message{.text = "hi", .partition = "3", .conversation_id = "c9"});
  client.down = true;
  CHECK_THROWS_AS(to.publish("inbox.42", kafka_message{}), std::runtime_error);
  const auto spans = out.spans();
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].name == "publish inbox.{user}");
  CHECK(spans[0].attributes["messaging.destination.name"] == "inbox.42");
  CHECK(spans[0].attributes["messaging.destination.template"] == "inbox.{user}");
  CHECK(spans[0].attributes["messaging.destination.partition.id"] == "3");
  CHECK(spans[0].attributes["messaging.message.conversation_id"] == "c9");
  CHECK(spans[0].attributes["messaging.client.id"] == "shop-1");
  CHECK(spans[0].attributes["server.address"] == "kafka.local");
  CHECK(spans[0].attributes["server.port"] == 9092);
  CHECK(client.sent.at(0).fields.at("traceparent") == traceparent_of(spans[0]));
  CHECK(spans[1].is_error());
  CHECK(spans[1].attributes["error.type"] == "std::runtime_error");
  CHECK(spans[1].events.at(0).name == "exception");
  auto counts = out.metric("messaging.client.sent.messages");
  CHECK(counts["messaging.destination.template=inbox.{user},messaging.operation.name=publish,messaging.system=kafka,"
               "server.address=kafka.local,server.port=9092"] == 1);
  CHECK(counts["error.type=std::runtime_error,messaging.destination.template=inbox.{user},messaging.operation.name="
               "publish,messaging.system=kafka,server.address=kafka.local,server.port=9092"] == 1);
}

TEST_CASE("a message that carries a context keeps it, and who only moves it is a client that links there") {
  recorded out;
  memory_broker broker;
  traced_producer to{broker};
  to.publish("orders", {.body = "", .headers = {{"traceparent", theirs}}});
  const auto sent = out.spans().at(0);
  CHECK(sent.kind == 3);
  REQUIRE(sent.links.size() == 1);
  CHECK(sent.links[0].span_id == "2122232425262728");
  CHECK(header(broker.subscribe("orders", "g", "c")->receive(1, 0ms).at(0), "traceparent") == theirs);
}

TEST_CASE("a batch has a span for each message, and one for the call that links to them") {
  recorded out;
  memory_broker broker;
  traced_producer to{broker};
  CHECK(to.publish_batch("orders", {{.body = "a"}, {.body = "b"}, {.headers = {{"traceparent", theirs}}}}).size() == 3);
  const auto spans = out.spans();
  const auto& sent = recorded::only(spans, "send orders");
  REQUIRE(spans.size() == 3);
  CHECK(spans[0].name == "create orders");
  CHECK(spans[0].kind == 4);
  CHECK(spans[0].attributes["messaging.operation.type"] == "create");
  CHECK(sent.kind == 3);
  CHECK(sent.attributes["messaging.batch.message_count"] == 3);
  REQUIRE(sent.links.size() == 3);
  CHECK(links_to(sent, spans[0]));
  CHECK(links_to(sent, spans[1]));
  const auto got = broker.subscribe("orders", "g", "c")->receive(9, 0ms);
  CHECK(header(got.at(0), "traceparent") == traceparent_of(spans[0]));
  CHECK(header(got.at(1), "traceparent") == traceparent_of(spans[1]));
  CHECK(header(got.at(2), "traceparent") == theirs);
  CHECK(out.metric("messaging.client.sent.messages")
            ["messaging.destination.name=orders,messaging.operation.name=send,messaging.system=memory"] == 3);
}

TEST_CASE("without create spans a batch's messages carry the context of the call") {
  recorded out;
  memory_broker broker;
  traced_producer to{broker, {.create_spans = false}};
  to.publish_batch("orders", {{.body = "a"}, {.body = "b"}});
  const auto sent = out.all.take_one();
  CHECK(sent.kind == 4);
  CHECK(sent.links.empty());
  for (const auto& m : broker.subscribe("orders", "g", "c")->receive(9, 0ms))
    CHECK(header(m, "traceparent") == traceparent_of(sent));
}

TEST_CASE("processing links to the sender, or continues its trace and links to where it happens") {
  for (const bool continued : {false, true}) {
    recorded out;
    memory_broker broker;
    traced_producer to{broker};
    {
      const otlpkit::baggage_scope carried{otlpkit::baggage{}.with("tenant", "acme")};
      to.publish("orders", {.body = "a"});
    }
    auto end = broker.subscribe("orders", "billing", "one");
    traced_consumer in{*end, {.relation = continued ? relation::continued : relation::linked}};
    const auto got = in.receive(1, 0ms);
    {
      const span_guard caller{"caller"};
      CHECK(in.process(got[0], [](const message& m) {
        OTLPKIT_SPAN("caller inside");
        CHECK(otlpkit::current_baggage().get("tenant") == "acme");
        return m.body;
      }) == "a");
      CHECK(otlpkit::current_baggage().empty());
    }
    const auto spans = out.spans();
    const auto& sent = recorded::only(spans, "send orders");
    const auto& outside = recorded::only(spans, "caller");
    const auto& processed = recorded::only(spans, "process orders");
    CHECK(processed.kind == 5);
    CHECK(processed.attributes["messaging.message.id"] == got[0].id);
    CHECK(processed.attributes["messaging.operation.type"] == "process");
    CHECK(processed.parent_id == (continued ? sent : outside).span_id);
    CHECK(processed.trace_id == (continued ? sent : outside).trace_id);
    REQUIRE(processed.links.size() == 1);
    CHECK(links_to(processed, continued ? outside : sent));
    CHECK(recorded::only(spans, "caller inside").parent_id == processed.span_id);
    CHECK(out.metric("messaging.process.duration")
              ["messaging.consumer.group.name=billing,messaging.destination.name=orders,messaging.operation.name="
               "process,messaging.system=memory"] == 1);
    CHECK(out.metric("messaging.client.consumed.messages").size() == 1);  // counted when received
  }
}

TEST_CASE("a message without a context is processed in a trace of its own, whatever the relation") {
  recorded out;
  memory_broker broker;
  broker.publish("orders", {.body = "a"});
  auto end = broker.subscribe("orders", "billing", "one");
  traced_consumer in{*end, {.relation = relation::continued}};
  CHECK(in.consume([](const message&) {}).processed == 1);
  const auto spans = out.spans();
  const auto& processed = recorded::only(spans, "process orders");
  CHECK(processed.parent_id.empty());
  CHECK(processed.links.empty());

  {
    const otlpkit::span_guard caller{"caller"};
    in.process(message{.body = "b"}, [](const message&) {});
  }
  const auto both = out.spans();
  CHECK(recorded::only(both, "process orders").parent_id == recorded::only(both, "caller").span_id);
  CHECK(recorded::only(both, "process orders").links.empty());
}

TEST_CASE("a batch is processed in one span that links to all of its senders, and pushed messages are counted there") {
  recorded out;
  memory_broker broker;
  traced_producer to{broker};
  for (int i = 0; i < 3; ++i) to.publish("orders", {.body = "x"});
  const auto all = broker.subscribe("orders", "g", "c")->receive(9, 0ms);
  const traced_processor pushed{
      {.source = {.broker = kafka, .destination = "orders", .group = "billing"}, .relation = relation::continued}};
  CHECK(pushed.process_batch(all, [](const auto& several) { return several.size(); }) == 3);
  CHECK_THROWS_AS(pushed.process(all[0], [](const message&) { throw std::out_of_range{"no"}; }), std::out_of_range);
  const auto spans = out.spans();
  REQUIRE(spans.size() == 5);
  const auto& batch = spans[3];
  CHECK(batch.name == "process orders");
  CHECK(batch.parent_id.empty());
  CHECK(batch.attributes["messaging.batch.message_count"] == 3);
  REQUIRE(batch.links.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(links_to(batch, spans[i]));
    CHECK(batch.links[i].attributes["messaging.message.id"] == all[i].id);
  }
  CHECK(spans[4].is_error());
  CHECK(spans[4].parent_id == spans[0].span_id);
  const std::string labels =
      "messaging.consumer.group.name=billing,messaging.destination.name=orders,messaging.operation.name=process,"
      "messaging.system=kafka,server.address=kafka.local,server.port=9092";
  auto counts = out.metric("messaging.client.consumed.messages");
  CHECK(counts[labels] == 3);
  CHECK(counts["error.type=std::out_of_range," + labels] == 1);
}

TEST_CASE("consume acknowledges what was handled, and leaves what threw to come again") {
  recorded out;
  otlpkit::testing::manual_time time;
  memory_broker broker{{.redeliver_after = 10s, .time = &time}};
  for (const char* body : {"a", "bad", "c"}) broker.publish("orders", {.body = body});
  auto end = broker.subscribe("orders", "billing", "one");
  traced_consumer in{*end};
  std::string done;
  const auto handle = [&](const message& m) {
    if (m.body == "bad" && !m.redelivered) throw std::runtime_error{"not today"};
    done += m.body;
  };
  const consumed first = in.consume(handle);
  CHECK(first.received == 3);
  CHECK(first.processed == 2);
  CHECK(first.failed == 1);
  CHECK_THROWS_AS(std::rethrow_exception(first.failure), std::runtime_error);
  CHECK(in.consume(handle, {.wait = 0ms}).received == 0);
  time.advance(10s);
  const consumed again = in.consume(handle);
  CHECK(again.processed == 1);
  CHECK(again.failure == nullptr);
  CHECK(done == "acbad");
  CHECK(broker.size("orders") == 0);
  std::size_t wrong = 0;
  for (const auto& s : out.spans()) wrong += s.is_error() ? 1 : 0;
  CHECK(wrong == 1);
}

TEST_CASE("what the broker's own calls throw is recorded where it happened, and thrown") {
  recorded out;
  struct broken {
    std::vector<message> receive(std::size_t, std::chrono::milliseconds) {
      if (!works) throw std::runtime_error{"gone"};
      return {{.body = "a", .id = "1"}};
    }
    void ack(const message&) { throw std::runtime_error{"gone"}; }
    bool works = false;
  } mine;
  traced_consumer in{mine,
                     {.source = {.broker = kafka, .destination = "orders.7", .destination_template = "orders.{n}"}}};
  CHECK_THROWS_AS(in.consume([](const message&) {}), std::runtime_error);
  mine.works = true;
  CHECK_THROWS_AS(in.consume([](const message&) {}), std::runtime_error);
  const auto spans = out.spans();
  REQUIRE(spans.size() == 4);
  CHECK(spans[0].name == "receive orders.{n}");
  CHECK(spans[0].is_error());
  CHECK_FALSE(spans[1].is_error());
  CHECK_FALSE(spans[2].is_error());
  CHECK(spans[3].name == "ack orders.{n}");
  CHECK(spans[3].is_error());
  CHECK(spans[3].attributes["messaging.message.id"] == "1");
  const std::string labels =
      "messaging.destination.template=orders.{n},messaging.operation.name=process,messaging.system="
      "kafka,server.address=kafka.local,server.port=9092";
  CHECK(out.metric("messaging.process.duration")[labels] == 1);
}

TEST_CASE("names of a mebibyte end in names that are cut, and nothing else") {
  recorded out;
  kafka_producer client;
  traced_producer to{client, {.broker = kafka}};
  to.publish(std::string(1 << 20, 'x'), kafka_message{});
  CHECK(out.all.take_one().name.size() == 256);
}
