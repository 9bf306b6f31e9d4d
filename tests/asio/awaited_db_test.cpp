// SPDX-License-Identifier: MIT
#include <otlpkit/asio/traced_db.hpp>

#include <doctest/doctest.h>

#include "db/recording.hpp"
#include "support/run_awaitable.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace asio = boost::asio;
using otlpkit::db::parameter;
using otlpkit::db::parameters;
using otlpkit::db::traced_db;
using support::run;

namespace {

/// A server somewhere, which is awaited, and remembers what it was told.
struct awaited_remote {
  otlpkit::db::connection_info about{.system_name = "postgresql", .name_space = "shop", .server_address = "db.example"};
  std::vector<std::string> told{};
  std::vector<std::size_t> values{};
  std::size_t fails_at = 0;  ///< the statement, the first being 1

  [[nodiscard]] const otlpkit::db::connection_info& info() const { return about; }
  asio::awaitable<otlpkit::db::result> query(std::string_view, parameters) { co_return otlpkit::db::result{{"a"}}; }
  asio::awaitable<std::int64_t> execute(std::string_view sql, parameters all) {
    return changed(std::string{sql}, all.size());
  }

 private:
  asio::awaitable<std::int64_t> changed(std::string sql, std::size_t count) {
    co_await asio::post(asio::use_awaitable);
    told.push_back(sql);
    values.push_back(count);
    if (told.size() == fails_at) throw otlpkit::db::error{"23505", "there already"};
    co_return static_cast<std::int64_t>(count) / 2;
  }
};

}  // namespace

TEST_CASE("a batch over an awaited connection is awaited, and one span") {
  recording out;
  awaited_remote server;
  traced_db db{server};
  const std::vector<std::vector<parameter>> rows{{3, "mug"}, {4, "can"}};
  auto many = db.execute_many("INSERT INTO " + std::string(40, 't') + " VALUES ($1, $2)", rows);  // the text is kept
  CHECK(server.told.empty());
  CHECK(run(std::move(many)) == 2);
  CHECK(server.told == std::vector<std::string>(2, "INSERT INTO " + std::string(40, 't') + " VALUES ($1, $2)"));
  CHECK(run(db.execute_many("INSERT INTO t VALUES ($1)", std::vector<std::vector<parameter>>{})) == 0);
  const auto spans = out.take();
  REQUIRE(spans.size() == 1);
  CHECK(spans[0].name == "BATCH INSERT " + std::string(40, 't'));
  CHECK(spans[0].attributes.at("db.operation.batch.size") == 2);
}

TEST_CASE("many rows go to an awaited connection with few statements, and the first failure ends it") {
  recording out;
  awaited_remote server;
  traced_db db{server};
  const std::vector<parameter> values(20'000, parameter{1});
  CHECK(run(db.insert_rows("INSERT INTO items (id, name) VALUES", 2, values)) == 10'000);
  CHECK(server.values == std::vector<std::size_t>{16'384, 3'616});
  CHECK(server.told[1].substr(0, 61) == "INSERT INTO items (id, name) VALUES ($1, $2), ($3, $4), ($5, ");
  CHECK_THROWS_AS(run(db.insert_rows("INSERT INTO items (id, name) VALUES", 3, values)), std::invalid_argument);

  server.fails_at = 3;
  CHECK_THROWS_AS(run(db.insert_rows("INSERT INTO items (id, name) VALUES", 2, values)), otlpkit::db::error);
  CHECK(server.told.size() == 3);
  const auto spans = out.take();
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].attributes.at("db.query.text") == "INSERT INTO items (id, name) VALUES ($1, $2)");
  CHECK(spans[1].attributes.at("error.type") == "23505");
}
