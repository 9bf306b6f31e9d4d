// SPDX-License-Identifier: MIT
// What coroutines do with a real PostgreSQL server that hangs or dies: a pool, an outbox, sagas.
// links: PostgreSQL::PostgreSQL
#include <otlpkit/adapters/postgres.hpp>
#include <otlpkit/adapters/postgres_async.hpp>
#include <otlpkit/asio/outbox.hpp>
#include <otlpkit/asio/pool.hpp>
#include <otlpkit/asio/saga.hpp>
#include <otlpkit/asio/when.hpp>
#include <otlpkit/db/pool.hpp>
#include <otlpkit/messaging/saga_sql.hpp>

#include <doctest/doctest.h>

#include "messaging/outbox_checks.hpp"
#include "support/run_awaitable.hpp"
#include "support/server_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace otlpkit::messaging;
using asio::awaitable;
using support::run;
using steady = std::chrono::steady_clock;

namespace {

support::postgres_server& server() {
  static support::postgres_server one;
  one.start();
  return one;
}

using blocking_store = otlpkit::db::traced_db<otlpkit::postgres::connection>;
using store = otlpkit::db::traced_db<otlpkit::postgres::async_connection>;
using store_pool = otlpkit::db::async_pool<store>;

const otlpkit::postgres::options patient{};
const otlpkit::postgres::options hurried{
    .connect_timeout = 300ms, .answer_timeout = 300ms, .application_name = "hurried"};

awaitable<store> connect(std::string url, const otlpkit::postgres::options& o) {
  auto c = co_await otlpkit::postgres::async_connection::connect(url, o);
  co_return store{std::move(c)};
}
store_pool connections(const otlpkit::db::pool_options& size, const otlpkit::postgres::options& o = patient) {
  return store_pool{[url = server().url(), &o] { return connect(url, o); }, size};
}

/// How a statement on a connection of the pool ends.
awaitable<std::string> ask(store_pool& pool) {
  try {
    auto db = co_await pool.acquire();
    co_await db->execute("SELECT 1");
  } catch (const otlpkit::db::pool_timeout_error&) {
    co_return "pool_timeout";
  } catch (const otlpkit::postgres::error& e) {
    co_return std::string{e.sqlstate()};
  }
  co_return "answered";
}

int open_files() {
  int count = 0;
  for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"}) ++count;
  return count;
}

/// A message for each of five keys.
awaitable<void> write_round(const outbox& box, store& db, int n) {
  for (int k = 0; k < 5; ++k) {
    const std::string key = "k" + std::to_string(k);
    const outbox_message m{.destination = "orders", .key = key, .body = key + ":" + std::to_string(n)};
    co_await box.write(db, m);
  }
}

std::int64_t number(std::string_view sql) {
  blocking_store db{otlpkit::postgres::connection{server().url()}};
  return db.query_one<std::int64_t>(sql);
}

}  // namespace

TEST_CASE("a pool over a server that hangs: every call ends in its time, nothing is left, and it serves again") {
  static_cast<void>(number("SELECT 1"));
  const int files = open_files();
  run([]() -> awaitable<void> {
    auto pool = connections({.max_size = 2, .max_wait = 100ms}, hurried);
    const auto fresh = co_await otlpkit::when_all(ask(pool), ask(pool));
    CHECK(std::get<0>(fresh) == "answered");
    CHECK(pool.counts().idle == 2);
    const auto begun = steady::now();
    {
      const support::suspended hangs{server()};
      const auto [first, second, third] = co_await otlpkit::when_all(ask(pool), ask(pool), ask(pool));
      CHECK(first == "08006");
      CHECK(second == "08006");
      CHECK(third == "pool_timeout");
      CHECK(pool.counts().idle == 0);
      const std::string fourth = co_await ask(pool);
      CHECK(fourth == "08001");
      CHECK(pool.counts().used == 0);
    }
    CHECK(steady::now() - begun < 10s);
    // The server sees now who is gone.
    const auto end = steady::now() + 10s;
    while (number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hurried'") != 0 &&
           steady::now() < end) {
    }
    CHECK(number("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hurried'") == 0);
    const std::string again = co_await ask(pool);
    CHECK(again == "answered");
  });
  CHECK(open_files() == files);
}

TEST_CASE("connecting to what never answers ends in its time, or when it is cancelled, and the place is free again") {
  run([]() -> awaitable<void> {
    const asio::ip::tcp::endpoint any{asio::ip::address_v4::loopback(), 0};
    asio::ip::tcp::acceptor silent{co_await asio::this_coro::executor, any};
    const std::string url = "postgres://app@127.0.0.1:" + std::to_string(silent.local_endpoint().port()) + "/x";
    store_pool brief{[&url] { return connect(url, hurried); }, {.max_size = 1}};
    const auto begun = steady::now();
    const std::string ended = co_await ask(brief);
    CHECK(ended == "08001");
    store_pool slow{[&url] { return connect(url, patient); }, {.max_size = 1}};
    asio::steady_timer soon{co_await asio::this_coro::executor, 100ms};
    const auto first = co_await otlpkit::when_any(ask(slow), soon.async_wait(asio::use_awaitable));
    CHECK(first.index() == 1);
    CHECK(steady::now() - begun < 4s);
    CHECK(brief.counts().used == 0);
    CHECK(slow.counts().used == 0);
  });
}

TEST_CASE("awaited relays on PostgreSQL: everything is sent once and in order per key, while writers go on") {
  run([]() -> awaitable<void> {
    auto pool = connections({.max_size = 6});
    {
      auto db = co_await pool.acquire();
      for (const std::string& sql : outbox_table(sql_dialect::postgresql)) co_await db->execute(sql);
    }
    recording_producer producer;
    bool written = false;
    const auto relay = [&]() -> awaitable<void> {
      async_outbox_relay one{pool, producer, {.batch = 9}};
      for (int empty = 0; empty < 3;) {
        const bool over = written;
        const relayed r = co_await one.relay();
        empty = r.sent > 0 ? 0 : empty + (over ? 1 : 0);
      }
    };
    const auto write = [&]() -> awaitable<void> {
      const outbox box;
      auto db = co_await pool.acquire();
      for (int n = 0; n < 20; ++n) {
        const auto work = [&box, n](store& in) -> awaitable<void> { co_await write_round(box, in, n); };
        co_await otlpkit::db::in_transaction(*db, work);
      }
      written = true;
    };
    static_cast<void>(co_await otlpkit::when_all(relay(), relay(), relay(), write()));
    CHECK(producer.sent.size() == 100);
    CHECK(in_order(producer.sent, 5, 20));
    CHECK(pool.counts().used == 0);
  });
}

TEST_CASE("the server dies between publishing and marking: an awaited relay sends again, and loses nothing") {
  run([]() -> awaitable<void> {
    auto pool = connections({.max_size = 2});
    recording_producer producer;
    async_outbox_relay relay{pool, producer, {.lease = 300ms}};
    {
      auto db = co_await pool.acquire();
      const outbox box;
      for (int n = 0; n < 2; ++n) co_await write_round(box, *db, n);
    }
    producer.during = [&producer] {
      producer.during = {};
      server().kill();
    };
    bool failed = false;
    try {
      static_cast<void>(co_await relay.relay());
    } catch (const otlpkit::db::error& e) {
      failed = is_connection_failure(e);
    }
    CHECK(failed);
    CHECK(producer.sent.size() == 10);
    static_cast<void>(server());
    asio::steady_timer pause{co_await asio::this_coro::executor};
    for (const auto end = steady::now() + 20s; producer.sent.size() < 20 && steady::now() < end;) {
      static_cast<void>(co_await relay.relay());
      pause.expires_after(10ms);
      co_await pause.async_wait(asio::use_awaitable);
    }
    CHECK(producer.sent.size() == 20);
    CHECK(in_order(producer.sent, 5, 2));
    const outbox_backlog left = co_await relay.measure();
    CHECK(left.pending == 0);
  });
}

TEST_CASE("an awaited saga on PostgreSQL: the server dies in mid-saga and it is resumed; cancelled, it is undone") {
  asio::thread_pool threads{1};
  otlpkit::db::pool blocking{[url = server().url()] { return blocking_store{otlpkit::postgres::connection{url}}; }};
  {
    auto db = blocking.acquire();
    db->execute(saga_table(sql_dialect::postgresql));
    db->execute("CREATE TABLE accounts (id TEXT PRIMARY KEY, balance BIGINT NOT NULL)");
    db->execute("INSERT INTO accounts VALUES ('a', 100), ('b', 100)");
  }
  sql_saga_journal written{blocking};
  offloaded_saga_journal journal{threads, written};
  struct transfer {
    bool dies = false, waits = false;
  };
  asio::io_context io;
  auto pool = connections({.max_size = 2});  // of connections of `io`, all of them
  const auto add = [&pool](std::string id, std::int64_t amount) -> awaitable<void> {
    auto db = co_await pool.acquire();
    co_await db->execute("UPDATE accounts SET balance = balance + $1 WHERE id = $2", amount, id);
  };
  async_saga<transfer> move{{.name = "move"}};
  move.step(
      "debit", [&add](transfer&) { return add("a", -10); }, [&add](transfer&) { return add("a", 10); });
  move.step("credit", [&](transfer& t) -> awaitable<void> {
    if (std::exchange(t.dies, false)) server().kill();
    auto db = co_await pool.acquire();
    if (t.waits) co_await db->execute("SELECT pg_sleep(20)");
    co_await db->execute("UPDATE accounts SET balance = balance + 10 WHERE id = 'b'");
  });
  const auto work = [&]() -> awaitable<void> {
    transfer dying{.dies = true};
    bool failed = false;
    try {
      co_await move.run(dying, journal, "1");
    } catch (const otlpkit::db::error& e) {  // the journal's: the saga stays where it is
      failed = is_connection_failure(e);
    }
    CHECK(failed);
    CHECK(number("SELECT sum(balance) FROM accounts") == 190);
    CHECK(written.unfinished("move", 0s) == std::vector<std::string>{"1"});
    transfer resumed;
    const bool went_on = co_await move.resume(resumed, journal, "1");
    CHECK(went_on);
    const bool again = co_await move.resume(resumed, journal, "1");
    CHECK_FALSE(again);
    CHECK(number("SELECT balance FROM accounts WHERE id = 'b'") == 110);

    transfer waiting{.waits = true};
    bool undone = false;
    const auto cancelled = [&]() -> awaitable<void> {
      try {
        co_await move.run(waiting, journal, "2");
      } catch (const saga_failed_error& e) {
        undone = e.compensated();
      }
    };
    const auto debited = []() -> awaitable<void> {
      asio::steady_timer pause{co_await asio::this_coro::executor};
      while (number("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)'") == 0) {
        pause.expires_after(5ms);
        co_await pause.async_wait(asio::use_awaitable);
      }
    };
    const auto first = co_await otlpkit::when_any(cancelled(), debited());
    CHECK(first.index() == 1);
    CHECK(undone);
  };
  auto done = otlpkit::co_spawn(io, work, asio::use_future);
  io.run();
  done.get();
  CHECK(number("SELECT balance FROM accounts WHERE id = 'a'") == 90);
  CHECK(number("SELECT balance FROM accounts WHERE id = 'b'") == 110);
  CHECK(written.unfinished("move", 0s).empty());
  CHECK(pool.counts().used == 0);
}
