// SPDX-License-Identifier: MIT
// Idempotency guard, saga and outbox relay for coroutines.
// links: SQLite::SQLite3
// emits: telemetry
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/asio/batcher.hpp>  // used elsewhere; here because all of them go together
#include <otlpkit/asio/idempotency.hpp>
#include <otlpkit/asio/messaging.hpp>
#include <otlpkit/asio/outbox.hpp>
#include <otlpkit/asio/retry.hpp>
#include <otlpkit/asio/saga.hpp>
#include <otlpkit/testing/manual_time.hpp>

#include <doctest/doctest.h>

#include <asio/checks.hpp>

#include "resilience/recorded.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace otlpkit::messaging;

awaitable<void> later() { co_await asio::post(asio::use_awaitable); }

/// SQLite behind awaitables.
struct async_connection {
  otlpkit::sqlite::connection inner{":memory:"};
  [[nodiscard]] const otlpkit::db::connection_info& info() const noexcept { return inner.info(); }
  awaitable<otlpkit::db::result> query(std::string_view sql, otlpkit::db::parameters p) {
    return after(inner.query(sql, p));
  }
  awaitable<std::int64_t> execute(std::string_view sql, otlpkit::db::parameters p) {
    return after(inner.execute(sql, p));
  }
  template <class T>
  static awaitable<T> after(T value) {
    co_await later();
    co_return value;
  }
};

struct async_producer {
  std::vector<message> sent;
  std::map<std::string, int> failures;
  asio::cancellation_signal* cancels = nullptr;
  awaitable<std::string> publish(std::string_view, message m) {
    co_await later();
    if (failures[m.body]-- > 0) throw std::runtime_error{m.body + " is refused"};
    sent.push_back(m);
    if (cancels != nullptr) cancels->emit(asio::cancellation_type::all);
    co_return "id";
  }
};

struct trip {
  std::vector<std::string> done;
  std::map<std::string, int> failures;
};
auto act(std::string what) {
  return [what](trip& t, const saga_step&) -> awaitable<void> {
    co_await later();
    if (t.failures[what]-- > 0) throw std::runtime_error{what + " failed"};
    t.done.push_back(what);
  };
}
using names = std::vector<std::string>;

}  // namespace

TEST_CASE("of many coroutines with one key, on many threads, one runs and all get its result") {
  recorded out;
  support::recording::queue(std::size_t{64} << 20, 200'000);
  memory_idempotency_store store;
  asio::io_context io;
  asio::thread_pool pool{1};
  offloaded_idempotency_store blocking{pool, store};
  async_idempotency_guard guard{store, {.name = "async"}};
  async_idempotency_guard offloaded{blocking, {.name = "async"}};
  std::atomic<int> runs{0}, replayed{0};
  for (int i = 0; i < 100; ++i) {
    otlpkit::co_spawn(
        io,
        [&, i]() -> awaitable<void> {
          const child_of span{{}, "caller"};
          const auto charge = [&]() -> awaitable<std::string> {
            ++runs;
            co_await later();
            co_return "done";
          };
          guarded<std::string> got;
          if (i % 2 == 0)
            got = co_await guard.run("key", "body", charge);
          else
            got = co_await offloaded.run("key", "body", charge);
          EXPECT(*got == "done" && is_current(span.context()));
          replayed += got.replayed;
        },
        asio::detached);
  }
  run_on(io, 3);
  pool.join();
  CHECK(runs == 1);
  CHECK(replayed == 99);
  CHECK(counted.wrong == 0);
  CHECK(out.spans().size() == 200);
}

TEST_CASE("a guarded call that is cancelled frees its key, one that fails frees or keeps it") {
  recorded out;
  memory_idempotency_store store;
  async_idempotency_guard guard{store,
                                {.name = "cancelled", .remember_failure = [](const auto& o) { return o.failed(); }}};
  asio::cancellation_signal signal;
  asio::io_context io;
  bool cancelled = false;
  otlpkit::co_spawn(
      io, [&]() -> awaitable<void> { co_await guard.run("k", [] { return wait_for_ever(); }); },
      asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { cancelled = e != nullptr; }));
  asio::post(io, [&] { signal.emit(asio::cancellation_type::all); });
  io.run();
  CHECK(cancelled);
  CHECK(store.size() == 0);
  run_one([&]() -> awaitable<void> {
    const auto fails = []() -> awaitable<void> {
      co_await later();
      throw std::runtime_error{"no"};
    };
    for (int i = 0; i < 2; ++i) {
      std::string what;
      try {
        co_await guard.run("k", fails);
      } catch (const std::runtime_error& e) {
        what = e.what();
      }
      EXPECT(what == "no");
    }
  });
  CHECK(store.size() == 1);
  CHECK(counted.wrong == 0);
}

TEST_CASE("the page's example: an awaited saga is undone in reverse, and resumed from its journal") {
  recorded out;
  async_saga<trip> book{{.name = "trip.book"}};
  book.step("flight", act("flight"), act("undo flight"))
      .step("hotel", act("hotel"), act("undo hotel"))
      .step("car", act("car"));
  memory_saga_journal journal;
  asio::io_context io;
  asio::thread_pool pool{1};
  offloaded_saga_journal blocking{pool, journal};
  run_one(io, [&]() -> awaitable<void> {
    trip fine, unlucky;
    co_await book.run(fine, blocking, "1");
    EXPECT(fine.done == names{"flight", "hotel", "car"});
    const bool again = co_await book.resume(fine, blocking, "1");
    EXPECT(!again);
    unlucky.failures = {{"car", 1}};
    bool thrown = false;
    try {
      co_await book.run(unlucky, journal, "2");
    } catch (const saga_failed_error& e) {
      thrown = e.compensated() && e.step() == "car";
    }
    EXPECT(thrown);
    EXPECT(unlucky.done == names{"flight", "hotel", "undo hotel", "undo flight"});
    thrown = false;
    try {
      co_await book.run(fine, journal, "2");
    } catch (const saga_taken_error&) {
      thrown = true;
    }
    EXPECT(thrown);
  });
  pool.join();
  CHECK(counted.wrong == 0);
}

TEST_CASE("a saga whose caller is cancelled is undone, and what undoes is neither cancelled nor given up") {
  recorded out;
  otlpkit::testing::manual_time time;
  const otlpkit::retry_policy twice{{.max_retry_attempts = 1, .time = &time}};
  async_saga<trip> s{{.name = "cancelled"}};
  s.step("a", twice, act("a"), act("undo a"));
  s.step("b", [](trip&) { return wait_for_ever(); });
  asio::cancellation_signal signal;
  asio::io_context io;
  trip t;
  t.failures = {{"undo a", 1}};
  std::string what;
  otlpkit::co_spawn(
      io, [&]() -> awaitable<void> { co_await s.run(t); },
      asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
        try {
          if (e) std::rethrow_exception(e);
        } catch (const saga_failed_error& failed) {
          what = failed.compensated() ? failed.step() : "not undone";
        } catch (const std::exception& other) {
          what = other.what();
        }
      }));
  otlpkit::co_spawn(
      io,
      [&]() -> awaitable<void> {
        while (t.done.empty()) co_await later();
        for (int i = 0; i < 5; ++i) co_await later();
        signal.emit(asio::cancellation_type::all);
      },
      asio::detached);
  io.run();
  CHECK(what == "b");
  CHECK(t.done == names{"a", "undo a"});
}

TEST_CASE(
    "an awaited relay: written in a transaction, sent in order, failures tried again, cancelled between messages") {
  recorded out;
  static std::int64_t now = 1'000'000;
  const auto clock = []() noexcept { return now; };
  otlpkit::db::traced_db db{async_connection{}};
  outbox box{{.now = clock}};
  async_producer broker;
  traced_producer producer{broker, {.broker = {.system = "memory"}}};
  async_outbox_relay relay{db, producer, {.name = "async", .retry_delay = 1s, .now = clock}};
  run_one([&]() -> awaitable<void> {
    for (const std::string& sql : outbox_table(sql_dialect::sqlite)) co_await db.execute(sql);
    co_await otlpkit::db::in_transaction(db, [&](auto& in) -> awaitable<void> {
      const child_of span{{}, "caller"};
      for (const char* body : {"a1", "b1", "a2"}) {
        outbox_message m{"orders", std::string(1, *body), body};
        co_await box.write(in, m);
      }
    });
    broker.failures["a1"] = 1;
    relayed r = co_await relay.relay();
    EXPECT(r.sent == 1 && r.failed == 1 && r.released == 1);
    r = co_await relay.relay();
    EXPECT(r.taken == 0);
    now += 1000;
    r = co_await relay.relay();
    EXPECT(r.sent == 2);
    const outbox_backlog b = co_await relay.measure();
    EXPECT(b.pending == 0);
  });
  CHECK(counted.wrong == 0);
  REQUIRE(broker.sent.size() == 3);
  CHECK(broker.sent[2].body == "a2");
  const auto spans = out.spans();
  const auto& caller = named(spans, "caller");
  int sends = 0;
  for (const auto& s : spans) sends += s.name == "send orders" && s.trace_id == caller.trace_id;
  CHECK(sends == 4);

  asio::io_context io;
  asio::cancellation_signal signal;
  broker.sent.clear();
  broker.cancels = &signal;
  bool ended = false;
  otlpkit::co_spawn(
      io,
      [&]() -> awaitable<void> {
        for (const char* body : {"x1", "x2"}) {
          outbox_message m{"orders", "x", body};
          co_await box.write(db, m);
        }
        co_await relay.run();
      },
      asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { ended = e != nullptr; }));
  io.run();
  CHECK(ended);
  REQUIRE(broker.sent.size() == 1);
  broker.cancels = nullptr;
  run_one([&]() -> awaitable<void> {
    relayed r = co_await relay.relay();
    EXPECT(r.sent == 1);
    broker.failures["poison"] = 1;
    const outbox_message poison{"orders", {}, "poison"};
    co_await box.write(db, poison);
    async_outbox_relay impatient{db, producer, {.max_attempts = 1, .now = clock}};
    r = co_await impatient.relay();
    EXPECT(r.parked == 1);
    EXPECT(co_await impatient.unpark() == 1);
    r = co_await impatient.relay();
    EXPECT(r.sent == 1);
    now += 60'000;
    EXPECT(co_await impatient.erase_sent(61s) == 1);
    EXPECT(co_await impatient.erase_sent(60s) == 5);
  });
  CHECK(broker.sent.size() == 3);
  CHECK(counted.wrong == 0);
}
