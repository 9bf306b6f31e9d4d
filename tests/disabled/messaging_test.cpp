// SPDX-License-Identifier: MIT
#include <otlpkit/asio/batcher.hpp>
#include <otlpkit/asio/messaging.hpp>
#include <otlpkit/messaging/batcher.hpp>
#include <otlpkit/messaging/consumer.hpp>
#include <otlpkit/messaging/memory_broker.hpp>
#include <otlpkit/messaging/producer.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;

TEST_CASE("with telemetry compiled out messages are sent, handled and acknowledged, and failures come again") {
  memory_broker broker{{.redeliver_after = 0ns}};
  traced_producer to{broker};
  to.publish("orders", {.body = "a"});
  CHECK(to.publish_batch("orders", {{.body = "b"}, {.body = "c"}}).size() == 2);
  auto end = broker.subscribe("orders", "g", "one");
  traced_consumer in{*end, {.relation = relation::continued}};
  std::string got;
  const consumed done = in.consume([&](const message& m) {
    if (m.body == "b") throw std::runtime_error{"no"};
    got += m.body;
  });
  CHECK(done.processed == 2);
  CHECK(done.failed == 1);
  const auto again = in.receive(std::size_t{9}, 0ms);
  CHECK(in.process_batch(again, [](const auto& all) { return all.size(); }) == 1);
  CHECK(in.ack(again) == 1);
  CHECK(got == "ac");
  CHECK(broker.size("orders") == 0);
}

TEST_CASE("with telemetry compiled out batchers batch, drop and count") {
  std::size_t got = 0;
  batcher<int> items{{.max_items = 2}, [&](const std::vector<int>& b) {
                       got += b.size();
                       if (got == 2) throw std::runtime_error{"no"};
                     }};
  for (int i = 0; i < 4; ++i) CHECK(items.add(i));
  CHECK(items.close(10s));
  CHECK_FALSE(items.add(5));
  CHECK(items.counts().failed == 2);
  CHECK(items.counts().sent == 2);
  CHECK(items.counts().dropped_newest == 1);
}

TEST_CASE("with telemetry compiled out the awaitable forms work") {
  boost::asio::io_context io;
  memory_broker broker;
  std::size_t got = 0;
  bool closed = false;
  async_batcher<int> items{io, {.max_items = 2}, [&](std::vector<int>& b) -> boost::asio::awaitable<void> {
                             got += b.size();
                             co_return;
                           }};
  auto end = broker.subscribe("orders", "g", "one");
  traced_consumer in{*end};
  boost::asio::co_spawn(
      io,
      [&]() -> boost::asio::awaitable<void> {
        traced_producer{broker}.publish("orders", {.body = "a"});
        const consumed done =
            co_await in.consume([&](const message&) -> boost::asio::awaitable<void> { CHECK(co_await items.add(1)); });
        CHECK(done.processed == 1);
        closed = co_await items.close(10s);
      },
      boost::asio::detached);
  io.run();
  CHECK(closed);
  CHECK(got == 1);
}
