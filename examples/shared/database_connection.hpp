// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/errors.hpp>

#if __has_include(<libpq-fe.h>)
#include <otlpkit/adapters/postgres.hpp>
#endif

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace shop {

/// Whether the line to the database is cut at the next COMMIT, and if so whether that got through.
enum class commit_fault { none, lost, answer_lost };

/// A connection to whichever database the scenario runs on: SQLite, or PostgreSQL where this is built with libpq.
class database_connection {
 public:
  explicit database_connection(otlpkit::sqlite::connection c) : one_{std::move(c)} {}
#if __has_include(<libpq-fe.h>)
  explicit database_connection(otlpkit::postgres::connection c) : one_{std::move(c)} {}
#endif

  [[nodiscard]] const otlpkit::db::connection_info& info() const noexcept {
    return *std::visit([](const auto& c) { return &c.info(); }, one_);
  }
  otlpkit::db::result query(std::string_view sql, otlpkit::db::parameters values) {
    return std::visit([&](auto& c) { return c.query(sql, values); }, one_);
  }
  std::int64_t execute(std::string_view sql, otlpkit::db::parameters values) {
    const auto there = [&] { return std::visit([&](auto& c) { return c.execute(sql, values); }, one_); };
    if (fault_ == commit_fault::none || sql != "COMMIT") return there();
    if (fault_ == commit_fault::answer_lost) there();
    lost_ = true;
    throw otlpkit::db::error{"08007", "COMMIT was not answered, it may have taken place"};  // as adapters say it
  }
  void run_script(const std::string& sql) {
    std::visit([&](auto& c) { c.run_script(sql); }, one_);
  }
  /// Whether it is lost, and can do nothing any more.
  [[nodiscard]] bool broken() const noexcept {
    if (lost_) return true;
#if __has_include(<libpq-fe.h>)
    if (const auto* const postgres = std::get_if<otlpkit::postgres::connection>(&one_)) return postgres->broken();
#endif
    return false;
  }
  [[nodiscard]] bool usable() noexcept {
    return !lost_ && std::visit([](auto& c) { return c.usable(); }, one_);
  }
  void fail_at_commit(commit_fault how) noexcept { fault_ = how; }

 private:
#if __has_include(<libpq-fe.h>)
  std::variant<otlpkit::sqlite::connection, otlpkit::postgres::connection> one_;
#else
  std::variant<otlpkit::sqlite::connection> one_;
#endif
  commit_fault fault_ = commit_fault::none;
  bool lost_ = false;
};

}  // namespace shop
