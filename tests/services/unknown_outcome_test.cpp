// SPDX-License-Identifier: MIT
// A COMMIT that was sent and never answered.
// links: PostgreSQL::PostgreSQL
#include <otlpkit/adapters/postgres.hpp>
#include <otlpkit/adapters/postgres_async.hpp>
#include <otlpkit/asio/when.hpp>
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include "db/recording.hpp"
#include "support/run_awaitable.hpp"
#include "support/server_process.hpp"
#include "support/severing_proxy.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;
using otlpkit::db::is_outcome_unknown;
using otlpkit::db::traced_db;
using otlpkit::testing::only;
using support::run;
using fate = support::severing_proxy::fate;

namespace {

const support::postgres_server& server() {
  static const support::postgres_server one;
  return one;
}
std::string url(std::uint16_t port) { return "postgres://app@127.0.0.1:" + std::to_string(port) + "/postgres"; }

const otlpkit::postgres::options impatient{.answer_timeout = 300ms};

struct ended {
  std::string code{};
  bool unknown = false;
  bool broken = false;
};

ended blocking(std::uint16_t port, const std::string& insert) {
  traced_db db{otlpkit::postgres::connection{url(port), impatient}};
  try {
    otlpkit::db::in_transaction(db, [&](auto& own) { own.execute(insert); });
  } catch (const otlpkit::db::error& e) {
    return {std::string{e.status_code()}, is_outcome_unknown(e), db.broken()};
  }
  return {};
}

using async_store = traced_db<otlpkit::postgres::async_connection>;

asio::awaitable<ended> awaited(std::uint16_t port, std::string insert) {
  const std::string through = url(port);
  auto c = co_await otlpkit::postgres::async_connection::connect(through, impatient);
  async_store db{std::move(c)};
  const auto work = [insert](async_store& own) -> asio::awaitable<void> { co_await own.execute(insert); };
  try {
    co_await otlpkit::db::in_transaction(db, work);
  } catch (const otlpkit::db::error& e) {
    co_return ended{std::string{e.status_code()}, is_outcome_unknown(e), db.broken()};
  }
  co_return ended{};
}

}  // namespace

TEST_CASE("a COMMIT without an answer is an unknown outcome, whether it took place or not") {
  recording out;
  traced_db direct{otlpkit::postgres::connection{server().url()}};
  direct.execute("CREATE TABLE written (what TEXT NOT NULL)");
  static_cast<void>(out.take());
  for (const bool async : {false, true}) {
    for (const fate f : {fate::lost, fate::unanswered, fate::silent}) {
      CAPTURE(async);
      CAPTURE(static_cast<int>(f));
      const support::severing_proxy proxy{server().port(), "COMMIT", f};
      const std::string insert = "INSERT INTO written VALUES ('" + std::to_string(static_cast<int>(f)) + "')";
      const ended e = async ? run(awaited(proxy.port(), insert)) : blocking(proxy.port(), insert);
      CHECK(e.unknown);
      CHECK(e.broken);
      const auto spans = out.take();
      const auto commit = only(spans, "COMMIT");
      CHECK(commit.is_error());
      CHECK(commit.attributes.at("error.type") == "08007");
      CHECK(commit.status_message.find("may have taken place") != std::string::npos);
      CHECK(otlpkit::testing::named(spans, "ROLLBACK").empty());
      CHECK_FALSE(only(spans, "INSERT written").is_error());
    }
  }
  const auto written = direct.query<std::string>("SELECT what FROM written");
  CHECK(written == std::vector<std::string>(2, std::to_string(static_cast<int>(fate::unanswered))));
}

TEST_CASE("a statement that is lost before the COMMIT is no unknown outcome") {
  for (const bool async : {false, true}) {
    const support::severing_proxy proxy{server().port(), "pg_sleep", fate::lost};
    const std::string nap = "SELECT pg_sleep(0)";
    const ended e = async ? run(awaited(proxy.port(), nap)) : blocking(proxy.port(), nap);
    CHECK_FALSE(e.unknown);
    CHECK(e.broken);
  }
}

TEST_CASE("a COMMIT that the server refuses, or that is not sent, is no unknown outcome") {
  traced_db db{otlpkit::postgres::connection{server().url()}};
  db.wrapped().run_script(
      "CREATE TABLE one (id INT PRIMARY KEY DEFERRABLE INITIALLY DEFERRED); INSERT INTO one VALUES (1)");
  const std::string insert = "INSERT INTO one VALUES (1)";
  for (const ended& e : {blocking(server().port(), insert), run(awaited(server().port(), insert))}) {
    CHECK(e.code == "23505");
    CHECK_FALSE(e.unknown);
    CHECK_FALSE(e.broken);
  }
  const support::severing_proxy proxy{server().port(), "pg_sleep", fate::lost};
  traced_db lost{otlpkit::postgres::connection{url(proxy.port())}};
  CHECK_THROWS_AS(lost.query("SELECT pg_sleep(0)"), otlpkit::db::error);
  try {
    lost.execute("COMMIT");
    FAIL("it is lost");
  } catch (const otlpkit::db::error& e) {
    CHECK(e.status_code() == "08003");
  }
}

TEST_CASE("a COMMIT that is cancelled when it was sent is an unknown outcome as well") {
  const support::severing_proxy proxy{server().port(), "now", fate::silent};
  const bool unknown = run([](std::uint16_t port) -> asio::awaitable<bool> {
    const std::string through = url(port);
    auto c = co_await otlpkit::postgres::async_connection::connect(through);
    async_store db{std::move(c)};
    co_await db.execute("BEGIN");
    bool told = false;
    const auto commit = [&]() -> asio::awaitable<void> {
      try {
        co_await db.execute("/* now */ commit");
      } catch (const otlpkit::db::error& e) {
        told = is_outcome_unknown(e);
      }
    };
    asio::steady_timer soon{co_await asio::this_coro::executor, 100ms};
    const auto first = co_await otlpkit::when_any(commit(), soon.async_wait(asio::use_awaitable));
    CHECK(first.index() == 1);
    co_return told;
  }(proxy.port()));
  CHECK(unknown);
}
