// SPDX-License-Identifier: MIT
#include <otlpkit/messaging/consumer.hpp>
#include <otlpkit/messaging/memory_broker.hpp>
#include <otlpkit/messaging/producer.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit::messaging;

namespace {

std::string bodies(const std::vector<message>& all) {
  std::string out;
  for (const auto& m : all) out += m.body + (m.redelivered ? "! " : " ");
  return out;
}

}  // namespace

TEST_CASE("each group gets every message, each consumer of a group others") {
  memory_broker b;
  b.publish("t", {.body = "1"});
  auto one = b.subscribe("t", "g", "one");
  auto two = b.subscribe("t", "g", "two");
  auto other = b.subscribe("t", "h", "one");
  b.publish("t", {.body = "2"});
  b.publish("elsewhere", {.body = "x"});
  CHECK(bodies(one->receive(1, 0ms)) == "1 ");
  CHECK(bodies(two->receive(9, 0ms)) == "2 ");
  CHECK(bodies(one->receive(9, 0ms)).empty());
  CHECK(bodies(other->receive(9, 0ms)) == "1 2 ");
  CHECK(one->source().group == "g");
  CHECK(one->source().destination == "t");
}

TEST_CASE("a message goes when every group has acknowledged it, and any consumer of a group may") {
  memory_broker b;
  auto one = b.subscribe("t", "g", "one");
  auto two = b.subscribe("t", "g", "two");
  auto other = b.subscribe("t", "h", "one");
  b.publish("t", {.body = "1"});
  const auto got = one->receive(1, 0ms);
  CHECK(two->ack(got[0]) == 1);
  CHECK(two->ack(got[0]) == 0);
  CHECK(one->ack(message{.id = "not a number"}) == 0);
  CHECK(one->ack(message{.id = "99"}) == 0);
  CHECK(b.size("t") == 1);
  CHECK(other->ack(other->receive(1, 0ms)) == 1);
  CHECK(b.size("t") == 0);
  CHECK(b.size("unknown") == 0);

  b.publish("early", {.body = "2"});
  auto first = b.subscribe("early", "g", "one");
  auto late = b.subscribe("early", "h", "one");
  CHECK(first->ack(first->receive(1, 0ms)) == 1);
  CHECK(b.size("early") == 1);
  CHECK(late->ack(late->receive(1, 0ms)) == 1);
  CHECK(b.size("early") == 0);
}

TEST_CASE("what is not acknowledged in time comes again, to whoever asks") {
  otlpkit::testing::manual_time time;
  memory_broker b{{.redeliver_after = 10s, .time = &time}};
  auto one = b.subscribe("t", "g", "one");
  auto two = b.subscribe("t", "g", "two");
  b.publish("t", {.body = "1"});
  CHECK(bodies(one->receive(9, 0ms)) == "1 ");
  time.advance(10s - 1ns);
  CHECK(bodies(two->receive(9, 0ms)).empty());
  CHECK(bodies(two->receive(9, 1ms)) == "1! ");  // waits until it is due
  CHECK(bodies(one->receive(9, 0ms)).empty());
}

TEST_CASE("what a consumer leaves behind comes again at once") {
  memory_broker b;
  auto two = b.subscribe("t", "g", "two");
  b.publish("t", {.body = "1"});
  CHECK(bodies(b.subscribe("t", "g", "one")->receive(9, 0ms)) == "1 ");
  CHECK(bodies(two->receive(9, 0ms)) == "1! ");
  auto same = b.subscribe("t", "g", "two");  // as after a restart
  CHECK(bodies(same->receive(9, 0ms)) == "1! ");
}

TEST_CASE("a destination is bounded, and a batch goes in as a whole or not at all") {
  memory_broker b{{.max_messages = 3}};
  auto one = b.subscribe("t", "g", "one");
  b.publish_batch("t", {{.body = "1"}, {.body = "2"}});
  CHECK_THROWS_AS(b.publish_batch("t", {{.body = "3"}, {.body = "4"}}), destination_full_error);
  b.publish("t", {.body = "3"});
  CHECK_THROWS_AS(b.publish("t", {.body = "4"}), destination_full_error);
  b.publish("another", {.body = "5"});
  CHECK(one->ack(one->receive(1, 0ms)) == 1);
  b.publish("t", {.body = "4"});
  CHECK(bodies(one->receive(9, 0ms)) == "2 3 4 ");
}

TEST_CASE("random sequences do as a simple model does") {
  // The model: a list of messages, and for each group what nobody got, and since when somebody has got each other one.
  struct model_group {
    std::size_t next = 0;
    std::map<std::size_t, std::chrono::seconds> out{};
  };
  for (unsigned seed = 0; seed < 2000; ++seed) {
    std::mt19937 random{seed};
    const auto roll = [&](unsigned n) { return static_cast<std::size_t>(random() % n); };
    otlpkit::testing::manual_time time;
    const std::size_t most = 1 + roll(8);
    memory_broker b{{.max_messages = most, .redeliver_after = 5s, .time = &time}};
    std::vector<std::set<std::size_t>> waits_for;  // message -> groups that have not acknowledged it
    std::size_t gone = 0;
    std::vector<model_group> groups(1 + roll(2));
    std::vector<std::unique_ptr<subscription>> ends;
    for (std::size_t g = 0; g < groups.size(); ++g) ends.push_back(b.subscribe("t", std::to_string(g), "c"));
    std::chrono::seconds now{0};
    for (int i = 0; i < 60; ++i) {
      INFO("seed " << seed << " step " << i);
      const std::size_t g = roll(static_cast<unsigned>(groups.size()));
      switch (roll(4)) {
        case 0: {
          const bool fits = waits_for.size() - gone < most;
          try {
            b.publish("t", {.body = std::to_string(waits_for.size())});
            REQUIRE(fits);
            auto& all = waits_for.emplace_back();
            for (std::size_t k = 0; k < groups.size(); ++k) all.insert(k);
          } catch (const destination_full_error&) {
            REQUIRE_FALSE(fits);
          }
          break;
        }
        case 1: {
          const std::size_t ask = roll(4);
          std::string expected;
          std::size_t count = 0;
          for (auto& [number, due] : groups[g].out) {
            if (count < ask && due <= now) {
              due = now + 5s;
              expected += std::to_string(number) + "! ";
              ++count;
            }
          }
          for (; count < ask && groups[g].next < waits_for.size(); ++count, ++groups[g].next) {
            groups[g].out[groups[g].next] = now + 5s;
            expected += std::to_string(groups[g].next) + " ";
          }
          REQUIRE(bodies(ends[g]->receive(ask, 0ms)) == expected);
          break;
        }
        case 2: {
          const std::size_t number = roll(12);
          const bool known = groups[g].out.erase(number) != 0;
          REQUIRE(ends[g]->ack(message{.id = std::to_string(number + 1)}) == (known ? 1 : 0));
          if (known) waits_for[number].erase(g);
          while (gone < waits_for.size() && waits_for[gone].empty()) ++gone;
          break;
        }
        default: time.advance(1s); now += 1s;
      }
      REQUIRE(b.size("t") == waits_for.size() - gone);
    }
  }
}

TEST_CASE("many threads: every message is handled, and handled once where all goes well") {
  memory_broker b{{.redeliver_after = 60s}};
  constexpr int producers = 3, each = 500, consumers = 3;
  std::atomic<int> left{producers * each};
  std::mutex mutex;
  std::map<std::string, int> seen;
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<subscription>> ends;
  for (int c = 0; c < consumers; ++c) ends.push_back(b.subscribe("t", "g", std::to_string(c)));
  for (int c = 0; c < consumers; ++c) {
    threads.emplace_back([&, c] {
      traced_consumer in{*ends[static_cast<std::size_t>(c)]};
      while (left > 0) {
        in.consume(
            [&](const message& m) {
              {
                const std::lock_guard lock{mutex};
                ++seen[m.body];
              }
              --left;
            },
            {.wait = 1ms});
      }
    });
  }
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([&, p] {
      traced_producer out{b};
      for (int i = 0; i < each; ++i) out.publish("t", {.body = std::to_string(p) + ":" + std::to_string(i)});
    });
  }
  for (auto& t : threads) t.join();
  CHECK(seen.size() == producers * each);
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& s) { return s.second == 1; }));
  CHECK(b.size("t") == 0);
}

TEST_CASE("without telemetry messages are sent and handled, and a trace from outside passes through") {
  memory_broker broker;
  const std::string theirs = "00-0102030405060708111213141516171a-2122232425262728-01";
  {
    const otlpkit::remote_scope from{otlpkit::extract(std::map<std::string, std::string>{{"traceparent", theirs}})};
    traced_producer{broker}.publish("orders", {.body = "a"});
  }
  auto end = broker.subscribe("orders", "billing", "one");
  traced_consumer in{*end, {.relation = relation::continued}};
  std::string seen;
  CHECK(in.consume([&](const message& m) {
            seen = m.headers.at(0).second;
            CHECK(otlpkit::current_context().trace.valid());
          }).processed == 1);
  CHECK(seen == theirs);
}
