// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/messaging/outbox_relay.hpp>

#include "outbox_checks.hpp"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace outbox_fixture {

using namespace otlpkit::messaging;

/// A connection that fails where it is told.
struct connection : otlpkit::sqlite::connection {
  using otlpkit::sqlite::connection::connection;
  std::string fails_at = "\x01";
  otlpkit::db::result query(std::string_view sql, otlpkit::db::parameters p) {
    return may_fail(sql), otlpkit::sqlite::connection::query(sql, p);
  }
  std::int64_t execute(std::string_view sql, otlpkit::db::parameters p) {
    return may_fail(sql), otlpkit::sqlite::connection::execute(sql, p);
  }
  void may_fail(std::string_view sql) const {
    if (sql.find(fails_at) != std::string_view::npos) throw std::runtime_error{"the database is gone"};
  }
};
using database = otlpkit::db::traced_db<connection>;

inline std::int64_t now = 1'000'000;
inline std::int64_t test_now() noexcept { return now; }

struct outbox_case {
  database db{connection{":memory:"}};
  outbox box{{.now = test_now}};
  recording_producer producer;

  outbox_case() {
    for (const std::string& sql : outbox_table(sql_dialect::sqlite)) db.execute(sql);
  }
  void write(const std::string& key, const std::string& body) {
    box.write(db, {.destination = "orders", .key = key, .body = body});
  }
  auto relay(outbox_relay_options o = {}) {
    o.now = test_now;
    return outbox_relay<database, recording_producer>{db, producer, std::move(o)};
  }
  std::int64_t count(const std::string& where) {
    return db.query_one<std::int64_t>("SELECT COUNT(*) FROM otlpkit_outbox WHERE " + where);
  }
};

}  // namespace outbox_fixture
