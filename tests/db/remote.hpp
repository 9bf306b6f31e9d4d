// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/connection.hpp>

#include <cstdint>
#include <stdexcept>
#include <string_view>

/// A server somewhere, which answers what it is told.
struct remote {
  otlpkit::db::connection_info about{.system_name = "postgresql",
                                     .name_space = "shop|public",
                                     .server_address = "db.example",
                                     .server_port = 5433,
                                     .peer_address = "192.0.2.7",
                                     .peer_port = 5433};
  bool broken = false;
  [[nodiscard]] const otlpkit::db::connection_info& info() const { return about; }
  otlpkit::db::result query(std::string_view, otlpkit::db::parameters) {
    if (broken) throw otlpkit::db::error{"57P01", "terminating connection"};
    return otlpkit::db::result{{"a"}};
  }
  std::int64_t execute(std::string_view, otlpkit::db::parameters) {
    if (broken) throw std::runtime_error{"connection reset"};
    return 1;
  }
};
