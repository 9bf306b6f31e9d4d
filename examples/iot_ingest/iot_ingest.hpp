// SPDX-License-Identifier: MIT
#pragma once

#include "iot_ingest/time_series.hpp"
#include "shared/database.hpp"
#include "shared/json.hpp"

#include <otlpkit/cache/memory_cache.hpp>
#include <otlpkit/cache/traced_cache.hpp>
#include <otlpkit/messaging/batcher.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace iot {

struct device {
  std::string id;
  std::string status;  ///< "active" or "retired"
};

/// What raises an alert: a value above a limit.
struct alert_rule {
  std::string id;
  std::string name;  ///< of the value: "temperature", "humidity" or a metric
  double above = 0;
};

using device_cache = otlpkit::cache::traced_cache<otlpkit::cache::memory_cache<device>&>;

/// What taking readings needs. All of it may be shared by many threads.
struct services {
  shop::store_pool& database;
  device_cache& devices;
  const std::vector<alert_rule>& rules;
  otlpkit::messaging::batcher<device_data>& readings;
};

/// Takes a reading, a device_data as JSON. When it returns the reading is accepted, and will be written with others.
/// While the store is slow it waits; refused are readings of devices that may not send, that make no sense, and those
/// for which there was no room in time.
void ingest(std::string_view json, services& s);

/// The rules in the database.
[[nodiscard]] std::vector<alert_rule> load_rules(shop::store& db);

}  // namespace iot
