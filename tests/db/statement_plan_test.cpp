// SPDX-License-Identifier: MIT
// What is recorded of a statement, and kept for the next time it is run.
// emits: telemetry
#include <otlpkit/db/traced_db.hpp>

#include <doctest/doctest.h>

#include "db/recording.hpp"
#include "db/remote.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using otlpkit::db::traced_db;

TEST_CASE("what is said of a statement belongs to its text, its dialect and whether it has parameters") {
  recording out;
  traced_db postgres{remote{}};
  remote other;
  other.about.system_name = "mysql";
  traced_db mysql{other};
  const std::string buffer_of_one = "SELECT a FROM t WHERE b = \"x\"";
  std::string buffer = buffer_of_one;
  const auto text = [&](auto& db, const auto&... values) {
    static_cast<void>(db.query(buffer, values...));
    return std::string{out.take().back().attributes.at("db.query.text").as_string()};
  };
  for (int again = 0; again < 2; ++again) {
    CHECK(text(postgres) == buffer_of_one);
    CHECK(text(mysql) == "SELECT a FROM t WHERE b = ?");
    CHECK(text(mysql, 1) == buffer_of_one);
    buffer.back() = '\'';  // other text of the same length at the same place
    buffer[buffer.size() - 3] = '\'';
    CHECK(text(postgres) == "SELECT a FROM t WHERE b = ?");
    buffer = buffer_of_one;
  }
}

TEST_CASE("statements that are never the same do not fill memory, nor do they mix up what is said of others") {
  recording out;
  traced_db db{remote{}};
  for (int i = 0; i < 5'000; ++i) static_cast<void>(db.query("SELECT a FROM t" + std::to_string(i)));
  for (const auto& span : out.take())
    CHECK(span.attributes.at("db.query.text") == "SELECT a FROM " + std::string{span.name.substr(7)});
  auto& table = otlpkit::db::detail::global_plans;
  CHECK(table.size() <= table.capacity);
  CHECK(table.size() > table.capacity / 2);

  const auto known = otlpkit::db::sql_dialect::of("postgresql");
  const auto kept = table.find("SELECT a FROM kept", known, false);
  CHECK(kept.get()->users.load(otlpkit::platform::relaxed) == 2);  // the table's and ours
  for (int i = 0; i < 10'000; ++i) static_cast<void>(table.find("SELECT b FROM t" + std::to_string(i), known, false));
  CHECK(kept.get()->users.load(otlpkit::platform::relaxed) == 1);
}

TEST_CASE("statements of the same hash are not taken for each other") {
  auto& table = otlpkit::db::detail::global_plans;
  const auto known = otlpkit::db::sql_dialect::of("postgresql");
  // As the table hashes: what the first eight bytes make is evened out by the last eight.
  const auto state = [](std::string_view text) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    const std::uint64_t h = ((16 * 0x9E3779B97F4A7C15u) ^ word) * 0xD6E8FEB86659FD93u;
    return h ^ (h >> 32);
  };
  const std::string one = "SELECT 1 -- here", start = "SELECT 2";
  std::uint64_t end = 0;
  std::memcpy(&end, one.data() + 8, sizeof end);
  end ^= state(one) ^ state(start);
  std::string other = start + std::string(8, ' ');
  std::memcpy(other.data() + 8, &end, sizeof end);
  REQUIRE(table.hash_of(one) == table.hash_of(other));
  CHECK(table.find(one, known, true).text() == one);
  CHECK(table.find(other, known, true).text() == other);
}

TEST_CASE("long statements are shown in part, cut between characters, and never a literal of them") {
  recording out;
  traced_db db{remote{}};
  const auto text_of = [&](const std::string& sql, const auto&... values) {
    static_cast<void>(db.query(sql, values...));
    return std::string{out.take().back().attributes.at("db.query.text").as_string()};
  };
  const std::string start = "SELECT a FROM t WHERE b = ";
  CHECK(text_of(start + "'" + std::string(std::size_t{1} << 20, 's') + "'") == start + "?...");
  std::string umlauts = start;
  while (umlauts.size() < 8'192) umlauts += "\u00fc";
  CHECK(text_of(umlauts, 1) == umlauts.substr(0, 4'096) + "...");
  CHECK(text_of(umlauts.substr(0, 4'096), 1) == umlauts.substr(0, 4'096));
  umlauts.insert(7, 1, 'x');  // one is cut now
  CHECK(text_of(umlauts, 1) == umlauts.substr(0, 4'095) + "...");
}

TEST_CASE("threads that run the same and other statements each get what is said of theirs") {
  recording out;
  support::recording::queue(std::size_t{64} << 20, 1'000'000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      traced_db db{remote{}};
      for (int i = 0; i < 500; ++i) {
        static_cast<void>(db.query("SELECT a FROM shared WHERE b = $1", i));
        static_cast<void>(db.query("SELECT a FROM own_" + std::to_string(t * 1'000 + i % 300)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const auto spans = out.take();
  CHECK(spans.size() == 4'000);
  for (const auto& span : spans)
    REQUIRE(std::string{span.attributes.at("db.query.text").as_string()}.starts_with("SELECT a FROM " +
                                                                                     std::string{span.name.substr(7)}));
}

TEST_CASE("random literals never reach what is recorded, whatever stands around them") {
  constexpr std::array around{"SELECT a FROM t WHERE b = ",
                              "INSERT INTO t VALUES (1, ",
                              "/* c */ UPDATE t SET a = ",
                              "SELECT \"q\"\"x\" FROM t -- '\n WHERE ",
                              "SELECT $$x$$, ",
                              "SELECT e'\\'', "};
  constexpr std::array quotes{"'", "$$", "$tag$", "E'", "N'", "x'"};
  std::mt19937_64 random{7};
  recording out;
  traced_db db{remote{}};
  for (int i = 0; i < 500; ++i) {
    std::string secret = "s3cret";
    for (int c = 0; c < 8; ++c) secret += static_cast<char>('a' + random() % 26);
    const std::string quote = quotes[random() % quotes.size()];
    const std::string close = quote.front() == '$' ? quote : "'";
    static_cast<void>(
        db.query(around[random() % around.size()] + quote + secret + (random() % 4 == 0 ? "" : close) + " AND c"));
  }
  for (const auto& span : out.take()) {
    REQUIRE(std::string{span.attributes.at("db.query.text").as_string()}.find("s3cret") == std::string::npos);
    REQUIRE(span.name.find("s3cret") == std::string::npos);
  }
}
