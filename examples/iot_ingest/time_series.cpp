// SPDX-License-Identifier: MIT
#include "iot_ingest/time_series.hpp"

namespace iot {

void time_series::write(const std::vector<device_data>& batch) {
  {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [this] { return !held_; });
  }
  std::vector<otlpkit::db::parameter> readings, metrics;
  readings.reserve(batch.size() * 4);
  for (const device_data& d : batch) {
    readings.insert(readings.end(), {d.device_id, d.timestamp, d.temperature, d.humidity});
    for (const auto& [name, value] : d.metrics) metrics.insert(metrics.end(), {d.device_id, d.timestamp, name, value});
  }
  auto tx = db_.transaction();
  insert("INSERT INTO readings (device_id, measured_at, temperature, humidity) VALUES", readings);
  insert("INSERT INTO reading_metrics (device_id, measured_at, name, value) VALUES", metrics);
  tx.commit();
}

/// Many rows a statement where each is a journey to a server; SQLite, which is here, is quicker row by row.
void time_series::insert(const std::string& into, std::span<const otlpkit::db::parameter> values) {
  constexpr std::size_t columns = 4;
  if (!db_.info().embedded) {
    db_.insert_rows(into, columns, values);
    return;
  }
  std::vector<std::span<const otlpkit::db::parameter>> rows;
  for (; !values.empty(); values = values.subspan(columns)) rows.push_back(values.first(columns));
  db_.execute_many(into + " (" + otlpkit::db::placeholders(columns) + ")", rows);
}

void time_series::hold(bool held) {
  {
    const std::lock_guard lock{mutex_};
    held_ = held;
  }
  changed_.notify_all();
}

}  // namespace iot
