// SPDX-License-Identifier: MIT
#include "iot_ingest/iot_ingest.hpp"

#include "shared/new_id.hpp"

#include <otlpkit/otlpkit.hpp>

#include <chrono>
#include <cmath>
#include <optional>

using namespace std::chrono_literals;

namespace iot {
namespace {

void validate_device(const std::string& id, services& s) {
  OTLPKIT_SPAN("iot.validate_device");
  shop::check_id("device id", id);
  std::optional<device> known = s.devices.get(id);
  if (!known) {
    known = s.database.acquire()->query_optional<device>("SELECT id, status FROM devices WHERE id = $1", id);
    if (known) s.devices.set(id, *known, 60s);
  }
  if (!known) shop::refuse("unknown_device", "there is no device " + id);
  if (known->status != "active") shop::refuse("device_retired", "the device is " + known->status);
}

void check_range(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return;
  shop::refuse("out_of_range", std::string{name} + " out of range: expected " + std::to_string(std::lround(least)) +
                                   " to " + std::to_string(std::lround(most)));
}

void validate_data(const device_data& data) {
  check_range("temperature", data.temperature, -50, 100);  // degrees Celsius
  check_range("humidity", data.humidity, 0, 100);          // per cent
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto latest = std::chrono::duration_cast<std::chrono::milliseconds>(now + 5min).count();
  if (data.timestamp <= 0 || data.timestamp > latest)
    shop::refuse("invalid_timestamp", "a time that has not come yet, or no time: expected milliseconds since 1970");
  if (data.metrics.size() > 50)
    shop::refuse("too_many_metrics", std::to_string(data.metrics.size()) + " metrics: expected 50 at most");
  for (const auto& [name, value] : data.metrics) shop::check_id("metric", name);
}

void write_timeseries(const device_data& data, services& s) {
  if (!s.readings.add(data)) shop::refuse("store_overloaded", "no room for the reading, not in time");
}

std::optional<double> value_of(const device_data& data, const std::string& name) {
  if (name == "temperature") return data.temperature;
  if (name == "humidity") return data.humidity;
  const auto found = data.metrics.find(name);
  return found == data.metrics.end() ? std::nullopt : std::optional{found->second};
}

void check_alert_rules(const device_data& data, services& s) {
  OTLPKIT_SPAN("iot.check_alert_rules", {"rules", s.rules.size()});
  for (const alert_rule& rule : s.rules) {
    const std::optional<double> value = value_of(data, rule.name);
    if (!value || *value <= rule.above) continue;
    OTLPKIT_EVENT("alert", {"rule", rule.id}, {"value", *value});
    s.database.acquire()->execute(
        "INSERT INTO alerts (id, rule_id, device_id, measured_at, value) VALUES ($1, $2, $3, $4, $5)",
        shop::new_id("alert"), rule.id, data.device_id, data.timestamp, *value);
  }
}

}  // namespace

void ingest(std::string_view json, services& s) {
  OTLPKIT_SPAN("iot.ingest");
  const auto data = shop::from_json<device_data>(json);
  OTLPKIT_RECORD("device_id", data.device_id);
  OTLPKIT_RECORD("data_points", data.metrics.size());
  validate_device(data.device_id, s);
  validate_data(data);
  write_timeseries(data, s);
  check_alert_rules(data, s);
  OTLPKIT_COUNTER("iot.data_points", {"device_id", data.device_id}).add(static_cast<std::int64_t>(data.metrics.size()));
}

std::vector<alert_rule> load_rules(shop::store& db) {
  return db.query<alert_rule>("SELECT id, name, above FROM alert_rules ORDER BY id");
}

}  // namespace iot
