// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/json.hpp"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace iot {

/// What a device sends.
struct device_data {
  std::string device_id;
  std::int64_t timestamp = 0;  ///< milliseconds since 1970
  double temperature = 0;      ///< degrees Celsius, -50 to 100
  double humidity = 0;         ///< per cent
  std::map<std::string, double> metrics;
};
BOOST_DESCRIBE_STRUCT(device_data, (), (device_id, timestamp, temperature, humidity, metrics))

/// Where readings are kept. One thread at a time writes, another may play with the store's speed.
class time_series {
 public:
  explicit time_series(shop::store db) : db_{std::move(db)} {}

  /// A batch, as a whole or not at all.
  void write(const std::vector<device_data>& batch);

  /// Nothing is written until it is let go.
  void hold(bool held);

 private:
  void insert(const std::string& into, std::span<const otlpkit::db::parameter> values);

  shop::store db_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

}  // namespace iot
