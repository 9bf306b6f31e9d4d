// SPDX-License-Identifier: MIT
#include <otlpkit/asio/batcher.hpp>
#include <otlpkit/asio/messaging.hpp>
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/messaging/memory_broker.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;
using namespace otlpkit::messaging;

namespace {

awaitable<void> elsewhere() { co_await asio::post(asio::use_awaitable); }

/// Over the broker in the process, as a client library would be that speaks to a server.
struct async_producer {
  broker& to;
  bool down = false;
  awaitable<std::string> publish(std::string_view destination, message m) {
    co_await elsewhere();
    if (down) throw std::runtime_error{"no broker"};
    co_return to.publish(destination, std::move(m));
  }
  awaitable<std::vector<std::string>> publish_batch(std::string_view destination, std::vector<message> all) {
    co_await elsewhere();
    co_return to.publish_batch(destination, std::move(all));
  }
  [[nodiscard]] const broker_info& info() const { return to.info(); }
};
struct async_consumer {
  subscription& from;
  awaitable<std::vector<message>> receive(std::size_t most, std::chrono::milliseconds) {
    co_await elsewhere();
    co_return from.receive(most, 0ms);
  }
  awaitable<void> ack(const message& m) {
    co_await elsewhere();
    from.ack(m);
  }
  [[nodiscard]] const source_info& source() const { return from.source(); }
};

template <class F>
void run(asio::io_context& io, F fn) {
  std::exception_ptr failure;
  bool done = false;
  otlpkit::co_spawn(io, std::move(fn), [&](std::exception_ptr e) {
    failure = e;
    done = true;
  });
  io.restart();
  io.run();
  if (failure) std::rethrow_exception(failure);
  CHECK(done);
}
template <class F>
void run(F fn) {
  asio::io_context io;
  run(io, std::move(fn));
}

/// As testing code sees a gate, without threads.
struct async_gate {
  explicit async_gate(asio::io_context& io) : timer{io, asio::steady_timer::time_point::max()} {}
  asio::steady_timer timer;
  int inside = 0;
  awaitable<void> pass() {
    ++inside;
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  void open() { timer.expires_at(asio::steady_timer::time_point::min()); }
};

}  // namespace

TEST_CASE("sending and handling across awaits is one trace, and handlers may wait") {
  recorded out;
  memory_broker broker;
  auto end = broker.subscribe("orders", "billing", "one");
  std::string handled;
  run([&]() -> awaitable<void> {
    async_producer theirs{broker};
    traced_producer to{theirs};
    {
      OTLPKIT_SPAN("caller");
      const message order{.body = "a"};  // g++ 12: no aggregates made within an await
      const std::string id = co_await to.publish("orders", order);
      CHECK(id == "1");
    }
    async_consumer mine{*end};
    traced_consumer in{mine, {.relation = relation::continued}};
    const consumed done = co_await in.consume([&](const message& m) -> awaitable<void> {
      co_await elsewhere();
      OTLPKIT_SPAN("caller inside");
      handled += m.body;
    });
    CHECK(done.processed == 1);
    const consumed none = co_await in.consume([&](const message&) { handled += "?"; });
    CHECK(none.received == 0);
  });
  CHECK(handled == "a");
  CHECK(broker.size("orders") == 0);
  const auto spans = out.spans();
  const auto& caller = recorded::only(spans, "caller");
  const auto& sent = recorded::only(spans, "send orders");
  const auto& processed = recorded::only(spans, "process orders");
  CHECK(sent.parent_id == caller.span_id);
  CHECK(sent.attributes["messaging.message.id"] == "1");
  CHECK(processed.parent_id == sent.span_id);
  CHECK(recorded::only(spans, "caller inside").parent_id == processed.span_id);
  CHECK(recorded::only(spans, "ack orders").parent_id == processed.span_id);
  CHECK(recorded::only(spans, "receive orders").links.size() == 1);
  CHECK(spans.size() == 6);
}

TEST_CASE("awaited failures are on their spans: of the broker's calls, and of handlers") {
  recorded out;
  memory_broker broker;
  auto end = broker.subscribe("orders", "billing", "one");
  run([&]() -> awaitable<void> {
    async_producer theirs{broker};
    traced_producer to{theirs};
    std::vector<message> several{{.body = "a"}, {.body = "b"}};
    const auto ids = co_await to.publish_batch("orders", several);
    CHECK(ids.size() == 2);
    theirs.down = true;
    bool thrown = false;
    try {
      co_await to.publish("orders", several[0]);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    CHECK(thrown);
    async_consumer mine{*end};
    traced_consumer in{mine};
    const consumed done = co_await in.consume([](const message& m) -> awaitable<void> {
      co_await elsewhere();
      if (m.body == "a") throw std::out_of_range{"no"};
    });
    CHECK(done.processed == 1);
    CHECK(done.failed == 1);
  });
  const auto spans = out.spans();
  int failed = 0;
  for (const auto& s : spans) {
    if (!s.is_error()) continue;
    ++failed;
    CHECK((s.name == "send orders" || s.name == "process orders"));
  }
  CHECK(failed == 2);
  CHECK(out.metric("messaging.process.duration")
            ["error.type=std::out_of_range,messaging.consumer.group.name=billing,messaging.destination.name=orders,"
             "messaging.operation.name=process,messaging.system=memory"] == 1);
}

TEST_CASE("consuming that is cancelled acknowledges what it has processed, and leaves the rest") {
  recorded out;
  memory_broker broker;
  auto end = broker.subscribe("orders", "billing", "one");
  for (const char* body : {"a", "b"}) broker.publish("orders", {.body = body});
  asio::io_context io;
  asio::cancellation_signal stop;
  consumed done;
  bool cancelled = false;
  otlpkit::co_spawn(
      io,
      [&]() -> awaitable<void> {
        async_consumer mine{*end};
        traced_consumer in{mine};
        done = co_await in.consume([&](const message&) { stop.emit(asio::cancellation_type::terminal); });
        co_await elsewhere();
      },
      asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr e) { cancelled = e != nullptr; }));
  io.run();
  CHECK(cancelled);
  CHECK(done.processed == 1);
  CHECK(done.failed == 0);
  CHECK(broker.size("orders") == 1);
}

TEST_CASE("a coroutine consumes from a broker that blocks by way of a pool") {
  memory_broker broker;
  asio::thread_pool pool{1};
  auto end = broker.subscribe("orders", "billing", "one");
  traced_consumer in{*end};
  std::string handled;
  run([&]() -> awaitable<void> {
    traced_producer{broker}.publish("orders", {.body = "a"});
    const auto done =
        co_await otlpkit::offload(pool, [&] { return in.consume([&](const message& m) { handled += m.body; }); });
    CHECK(done.processed == 1);
  });
  CHECK(handled == "a");
}

TEST_CASE("an awaited batcher sends by count and time, waits for room and closes with all sent") {
  recorded out;
  asio::io_context io;
  std::vector<int> got;
  async_gate sink{io};
  {
    const otlpkit::span_guard maker{"caller maker"};
    async_batcher<int> items{
        io,
        {.name = "awaited", .max_items = 2, .max_delay = 1h, .high_watermark = 3, .low_watermark = 1},
        [&](std::vector<int>& b) -> awaitable<void> {
          co_await sink.pass();
          got.insert(got.end(), b.begin(), b.end());
        }};
    bool late = false;
    otlpkit::co_spawn(
        io,
        [&]() -> awaitable<void> {
          OTLPKIT_SPAN("caller");
          for (int i = 0; i < 2; ++i) CHECK(co_await items.add(i));
          while (sink.inside == 0) co_await elsewhere();
          for (int i = 2; i < 5; ++i) CHECK(co_await items.add(i));
          CHECK(items.under_pressure());
          otlpkit::co_spawn(
              io,
              [&]() -> awaitable<void> {
                OTLPKIT_SPAN("caller late");
                CHECK(co_await items.add(5));
                late = true;
              },
              asio::detached);
          while (items.counts().waiting == 0) co_await elsewhere();
          CHECK_FALSE(late);
          sink.open();
          co_await items.flush();
          while (!late) co_await elsewhere();
          CHECK(co_await items.close(10s));
          CHECK_FALSE(co_await items.add(6));
        },
        asio::detached);
    io.run();
    CHECK(late);
    CHECK(items.counts().sent == 6);
    CHECK(items.counts().dropped_newest == 1);
  }
  CHECK(got == std::vector<int>{0, 1, 2, 3, 4, 5});
  const auto spans = out.spans();
  for (const auto& s : spans) {
    if (s.name.starts_with("caller")) continue;
    CHECK(s.name == "batch.flush awaited");
    CHECK(s.parent_id.empty());
    CHECK(s.links.size() >= 1);
  }
  CHECK(recorded::only(spans, "caller late").event("otlpkit.batcher.waited") != nullptr);
}

TEST_CASE("adding that is cancelled or has waited too long leaves nothing behind") {
  asio::io_context io;
  async_gate sink{io};
  async_batcher<int> items{io,
                           {.max_items = 1, .high_watermark = 1, .low_watermark = 0, .max_wait = 20ms},
                           [&](std::vector<int>&) { return sink.pass(); }};
  asio::cancellation_signal stop;
  bool cancelled = false;
  run(io, [&]() -> awaitable<void> {
    CHECK(co_await items.add(0));
    while (sink.inside == 0) co_await elsewhere();
    CHECK(co_await items.add(1));
    otlpkit::co_spawn(
        io, [&]() -> awaitable<void> { co_await items.add(2); },
        asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr e) { cancelled = e != nullptr; }));
    while (items.counts().waiting == 0) co_await elsewhere();
    stop.emit(asio::cancellation_type::terminal);
    CHECK_FALSE(co_await items.add(3));  // too long
    CHECK(cancelled);
    CHECK(items.counts().waiting == 0);
    sink.open();
    co_await items.flush();
    CHECK(co_await items.close(10s));
  });
  CHECK(items.counts().sent == 2);
  CHECK(items.counts().dropped_newest == 2);
}

TEST_CASE("a sink that fails loses its batch, and closing in vain drops the rest") {
  asio::io_context io;
  async_gate sink{io};
  int calls = 0;
  async_batcher<int> items{
      io, {.max_items = 1, .high_watermark = 9, .low_watermark = 1}, [&](std::vector<int>&) -> awaitable<void> {
        if (++calls == 1) throw std::runtime_error{"no"};
        co_await sink.pass();
      }};
  run(io, [&]() -> awaitable<void> {
    for (int i = 0; i < 4; ++i) CHECK(co_await items.add(i));
    CHECK_FALSE(co_await items.close(5ms));
    otlpkit::co_spawn(io, items.close(1h), asio::detached);  // brings none back
    co_await elsewhere();
    sink.open();
    co_await items.flush();
  });
  const auto counts = items.counts();
  CHECK(counts.failed == 1);
  CHECK(counts.sent == 1);
  CHECK(counts.dropped_at_close == 2);
}

TEST_CASE("an io_context that goes while items wait: they are counted as dropped") {
  auto io = std::make_unique<asio::io_context>();
  std::optional<async_batcher<int>> items;
  items.emplace(*io, batcher_options{.max_items = 1, .high_watermark = 9, .low_watermark = 1},
                [](std::vector<int>&) -> awaitable<void> {
                  asio::steady_timer forever{co_await asio::this_coro::executor, asio::steady_timer::time_point::max()};
                  co_await forever.async_wait(asio::use_awaitable);
                });
  otlpkit::co_spawn(
      *io,
      [&]() -> awaitable<void> {
        for (int i = 0; i < 3; ++i) CHECK(co_await items->add(i));
        co_await elsewhere();
        io->stop();
      },
      asio::detached);
  io->run();
  io.reset();
  CHECK(items->counts().dropped_at_close == 3);
  CHECK_FALSE(items->under_pressure());
  items.reset();
}

TEST_CASE("an io_context that goes while a batcher has nothing to do takes its timer along") {
  auto io = std::make_unique<asio::io_context>();
  async_batcher<int> items{*io, {}, [](std::vector<int>&) {}};
  io->poll();
  io.reset();
}

TEST_CASE("coroutines on many threads: every item is sent once") {
  asio::thread_pool pool{4};
  std::atomic<std::size_t> got{0};
  constexpr int tasks = 16, each = 500;
  {
    async_batcher<int> items{pool.get_executor(),
                             {.max_items = 32, .max_delay = 1ms, .high_watermark = 64, .low_watermark = 16},
                             [&](std::vector<int>& b) -> awaitable<void> {
                               co_await elsewhere();
                               got += b.size();
                             }};
    std::vector<std::future<void>> all;
    for (int t = 0; t < tasks; ++t) {
      all.push_back(otlpkit::co_spawn(
          pool.get_executor(),
          [&items]() -> awaitable<void> {
            for (int i = 0; i < each; ++i) {
              co_await items.add(i);
              if (i % 100 == 99) co_await items.flush();
            }
          },
          asio::use_future));
    }
    for (auto& f : all) f.get();
    CHECK(otlpkit::co_spawn(
              pool.get_executor(), [&items]() -> awaitable<bool> { co_return co_await items.close(60s); },
              asio::use_future)
              .get());
    CHECK(items.counts().sent == tasks * each);
  }
  pool.join();
  CHECK(got == tasks * each);
}
