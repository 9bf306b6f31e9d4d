// SPDX-License-Identifier: MIT
// links: PostgreSQL::PostgreSQL
// emits: telemetry
#include <otlpkit/adapters/postgres_async.hpp>
#include <otlpkit/asio/pool.hpp>
#include <otlpkit/asio/when.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include "db/recording.hpp"
#include "support/run_awaitable.hpp"
#include "support/server_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using otlpkit::db::lease;
using otlpkit::db::traced_db;
using otlpkit::postgres::async_connection;
using support::run;

namespace {

support::postgres_server& server() {
  static support::postgres_server one;
  one.start();
  return one;
}

using store = traced_db<async_connection>;
using store_pool = otlpkit::db::async_pool<store>;

asio::awaitable<store> connect() {
  auto c = co_await async_connection::connect(server().url());
  co_return store{std::move(c)};
}
asio::awaitable<store> connect(const otlpkit::postgres::options& o) {
  auto c = co_await async_connection::connect(server().url(), o);
  co_return store{std::move(c)};
}

/// The SQLSTATE that an awaitable fails with.
template <class T>
asio::awaitable<std::string> failure(asio::awaitable<T> call) {
  try {
    static_cast<void>(co_await std::move(call));
  } catch (const otlpkit::postgres::error& e) {
    co_return std::string{e.sqlstate()};
  }
  co_return "none";
}

struct item {
  std::int64_t id;
  std::string name;
};

}  // namespace

TEST_CASE("statements are awaited and are spans, rows come as structs") {
  recording out;
  run([]() -> asio::awaitable<void> {
    const otlpkit::span_guard caller{"caller"};
    store db = co_await connect();
    co_await db.execute("CREATE TEMP TABLE items (id BIGINT PRIMARY KEY, name TEXT NOT NULL)");
    const std::string name = "pot";
    const auto inserted = co_await db.execute("INSERT INTO items VALUES ($1, $2), ($3, $4)", 1, "cup", 2, name);
    CHECK(inserted == 2);
    const item pot = co_await db.query_one<item>("SELECT id, name FROM items WHERE id = $1", 2);
    CHECK(pot.name == "pot");
    const auto all = co_await db.query<item>("SELECT id, name FROM items ORDER BY id");
    CHECK(all.size() == 2);
    const auto none = co_await db.query_optional<item>("SELECT id, name FROM items WHERE id = $1", 9);
    CHECK_FALSE(none.has_value());
    const std::string code = co_await failure(db.execute("INSERT INTO items VALUES ($1, $2)", 1, "again"));
    CHECK(code == "23505");
  });
  const auto spans = out.take();
  const auto caller = otlpkit::testing::only(spans, "caller");
  CHECK(spans.size() == 7);
  CHECK(otlpkit::testing::children_of(spans, caller).size() == 6);
  CHECK(otlpkit::testing::named(spans, "INSERT items").back().attributes.at("error.type") == "23505");
  CHECK(otlpkit::testing::named(spans, "SELECT items").front().attributes.at("db.response.returned_rows") == 1);
}

TEST_CASE("work in a transaction is committed, or rolled back when it throws") {
  recording out;
  run([]() -> asio::awaitable<void> {
    store db = co_await connect();
    co_await db.execute("CREATE TEMP TABLE t (id INT PRIMARY KEY)");
    const int found = co_await otlpkit::db::in_transaction(db, [](store& own) -> asio::awaitable<int> {
      co_await own.execute("INSERT INTO t VALUES (1)");
      co_return co_await own.query_one<int>("SELECT count(*) FROM t");
    });
    CHECK(found == 1);
    const otlpkit::db::transaction_options strict{.isolation = otlpkit::db::isolation::serializable};
    const auto twice = [](store& own) -> asio::awaitable<int> {
      co_await own.execute("INSERT INTO t VALUES (2)");
      co_await own.execute("INSERT INTO t VALUES (1)");
      co_return 0;
    };
    const std::string code = co_await failure(otlpkit::db::in_transaction(db, twice, strict));
    CHECK(code == "23505");
    CHECK(db.usable());
    const int left = co_await db.query_one<int>("SELECT count(*) FROM t");
    CHECK(left == 1);
  });
  CHECK(otlpkit::testing::named(out.take(), "ROLLBACK").size() == 1);
}

TEST_CASE("whoever swallows an error in a transaction hears from COMMIT that it was rolled back") {
  run([]() -> asio::awaitable<void> {
    store db = co_await connect();
    const auto careless = [](store& own) -> asio::awaitable<int> {
      static_cast<void>(co_await failure(own.query("SELECT 1/0")));
      co_return 0;
    };
    const std::string code = co_await failure(otlpkit::db::in_transaction(db, careless));
    CHECK(code == "25P02");
    CHECK(db.usable());
  });
}

TEST_CASE("after a transaction that was rolled back its caller can still be cancelled") {
  const auto begun = support::steady_clock::now();
  run([]() -> asio::awaitable<void> {
    store db = co_await connect();
    const auto rolled_back = [&db]() -> asio::awaitable<void> {
      const auto fails = [](store& own) -> asio::awaitable<int> {
        co_await own.execute("nonsense");
        co_return 0;
      };
      const std::string code = co_await failure(otlpkit::db::in_transaction(db, fails));
      CHECK(code == "42601");
      const bool throws = co_await asio::this_coro::throw_if_cancelled();
      CHECK(throws);
      asio::steady_timer long_time{co_await asio::this_coro::executor, 20s};
      co_await long_time.async_wait(asio::use_awaitable);
    };
    asio::steady_timer soon{co_await asio::this_coro::executor, 200ms};
    const auto first = co_await otlpkit::when_any(rolled_back(), soon.async_wait(asio::use_awaitable));
    CHECK(first.index() == 1);
  });
  CHECK(support::steady_clock::now() - begun < 10s);
}

TEST_CASE("of several hosts the first that answers is taken, before time is over") {
  const auto begun = support::steady_clock::now();
  run([]() -> asio::awaitable<void> {
    std::string url = server().url();
    const std::string closed = "127.0.0.1:" + std::to_string(support::server_detail::free_port()) + ",";
    url.insert(url.find("127.0.0.1"), closed);
    const otlpkit::postgres::options patient{.connect_timeout = 10s};
    auto c = co_await async_connection::connect(url, patient);
    CHECK(c.usable());
  });
  CHECK(support::steady_clock::now() - begun < 5s);
}

TEST_CASE("a slow statement ends with the server's time-out, a hanging server with the client's") {
  run([]() -> asio::awaitable<void> {
    const otlpkit::postgres::options short_statements{.statement_timeout = 50ms};
    const otlpkit::postgres::options short_answers{.answer_timeout = 100ms};
    const otlpkit::postgres::options short_connect{.connect_timeout = 100ms};
    store db = co_await connect(short_statements);
    const std::string slow = co_await failure(db.query("SELECT pg_sleep(20)"));
    CHECK(slow == "57014");
    CHECK(db.usable());
    store brief = co_await connect(short_answers);
    std::string hanging, connecting;
    {
      const support::suspended hangs{server()};
      hanging = co_await failure(brief.query("SELECT 1"));
      connecting = co_await failure(connect(short_connect));
    }
    CHECK(hanging == "08006");
    CHECK(connecting == "08001");
    CHECK_FALSE(brief.usable());
    const std::string closed = co_await failure(brief.query("SELECT 1"));
    CHECK(closed == "08003");
  });
}

TEST_CASE("a session that the server ends says why, and its connection is closed") {
  run([]() -> asio::awaitable<void> {
    store db = co_await connect();
    const std::string code = co_await failure(db.query("SELECT pg_terminate_backend(pg_backend_pid())"));
    CHECK(code == "57P01");
    CHECK(db.broken());
  });
}

TEST_CASE("a cancelled statement costs the connection and not the pool") {
  run([]() -> asio::awaitable<void> {
    store_pool pool{[] { return connect(); }, {.max_size = 1}};
    {
      auto db = co_await pool.acquire();
      asio::steady_timer soon{co_await asio::this_coro::executor, 50ms};
      const auto first = co_await otlpkit::when_any(db->query<std::string>("SELECT pg_sleep(20)::text"),
                                                    soon.async_wait(asio::use_awaitable));
      CHECK(first.index() == 1);
      CHECK_FALSE(db->usable());
    }
    CHECK(pool.counts().idle == 0);
    auto again = co_await pool.acquire();
    const int one = co_await again->query_one<int>("SELECT 1");
    CHECK(one == 1);
  });
}

TEST_CASE("when the server dies in mid-use the statement fails, and the pool recovers after its restart") {
  run([]() -> asio::awaitable<void> {
    store_pool pool{[] { return connect(); }, {.max_size = 2}};
    {
      auto db = co_await pool.acquire();
      std::thread killer{[] {
        run([]() -> asio::awaitable<void> {
          store watch = co_await connect();
          while (co_await watch.query_one<int>(
                     "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'") == 0) {
          }
        });
        server().kill();
      }};
      const std::string code = co_await failure(db->query("SELECT pg_sleep($1)", 20));
      CHECK(code == "08006");
      killer.join();
    }
    CHECK(pool.counts().idle == 0);
    static_cast<void>(server());
    auto db = co_await pool.acquire();
    const int one = co_await db->query_one<int>("SELECT 1");
    CHECK(one == 1);
  });
}

TEST_CASE("coroutines on several threads share a few connections, in turn") {
  asio::thread_pool threads{3};
  store_pool pool{[] { return connect(); }, {.max_size = 3}};
  std::vector<std::future<void>> all;
  std::atomic<int> served{0};
  for (int i = 0; i < 40; ++i) {
    all.push_back(otlpkit::co_spawn(
        threads,
        [&pool, &served, i]() -> asio::awaitable<void> {
          for (int n = 0; n < 5; ++n) {
            auto db = co_await pool.acquire();
            const int back = co_await db->query_one<int>("SELECT $1::int", i);
            if (back == i) ++served;
          }
        },
        asio::use_future));
  }
  for (auto& one : all) one.get();
  CHECK(served == 200);
  CHECK(pool.counts().used == 0);
  CHECK(pool.counts().idle == 3);
}
