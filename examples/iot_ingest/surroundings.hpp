// SPDX-License-Identifier: MIT
#pragma once

#include "iot_ingest/iot_ingest.hpp"
#include "shared/untraced.hpp"

#include <chrono>
#include <utility>

namespace iot {

/// What stands around readings in scenarios and tests.
struct surroundings {
  surroundings(const shop::database& db, otlpkit::messaging::batcher_options batches)
      : database{db.pool()}, rules{quietly_loaded_rules()}, store{db.connect()},
        readings{std::move(batches), [this](std::vector<device_data>& batch) { store.write(batch); }} {}

  [[nodiscard]] std::vector<alert_rule> quietly_loaded_rules() {
    const shop::untraced quietly;  // it belongs to no request
    return load_rules(*database.acquire());
  }

  shop::store_pool database;
  otlpkit::cache::memory_cache<device> known;
  device_cache devices{known, {.name = "devices"}};
  std::vector<alert_rule> rules;
  time_series store;
  otlpkit::messaging::batcher<device_data> readings;
  services all{database, devices, rules, readings};
};

/// The time, as devices say it.
[[nodiscard]] inline std::int64_t now_ms() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace iot
