// SPDX-License-Identifier: MIT
// needs: example_iot_ingest
#include "examples/short_shape.hpp"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("readings are written in batches, whose traces link to those of the readings") {
  const scenario_run run = run_scenario("iot_ingest");
  CHECK(run.status == 0);
  CHECK(short_diff(run, "Three readings make a batch", R"(
    batch.flush readings [otlpkit.batcher.name=readings otlpkit.batcher.batch.items=3 otlpkit.batcher.reason=count]
    │  ↳ link
    │  ↳ link
    │  ↳ link
    ├─ BEGIN
    ├─ BATCH INSERT readings
    ├─ BATCH INSERT reading_metrics
    └─ COMMIT

    iot.ingest [device_id=d-1 data_points=1]
    ├─ iot.validate_device
    │  └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]
    └─ iot.check_alert_rules [rules=2]

    iot.ingest [device_id=d-1 data_points=1]
    ├─ iot.validate_device
    │  ├─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=miss]
    │  ├─ SELECT devices
    │  └─ cache.set devices [otlpkit.cache.name=devices]
    └─ iot.check_alert_rules [rules=2]

    iot.ingest [device_id=d-2 data_points=1]
    ├─ iot.validate_device
    │  ├─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=miss]
    │  ├─ SELECT devices
    │  └─ cache.set devices [otlpkit.cache.name=devices]
    └─ iot.check_alert_rules [rules=2]
  )") == "");
  CHECK(short_diff(run, "One reading alone", R"(
    batch.flush readings [otlpkit.batcher.name=readings otlpkit.batcher.batch.items=1 otlpkit.batcher.reason=time]
    │  ↳ link
    ├─ BEGIN
    ├─ INSERT readings
    ├─ BATCH INSERT reading_metrics
    └─ COMMIT

    iot.ingest [device_id=d-4 data_points=2]
    ├─ iot.validate_device
    │  ├─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=miss]
    │  ├─ SELECT devices
    │  └─ cache.set devices [otlpkit.cache.name=devices]
    └─ iot.check_alert_rules [rules=2]
       │  · alert [rule=too-hot value=85.0]
       │  · alert [rule=vibration value=12.0]
       ├─ INSERT alerts
       └─ INSERT alerts
  )") == "");
  CHECK(short_diff(run, "A time that has not come yet", R"(
    iot.ingest [device_id=d-1 data_points=1 error.type=invalid_id] !ERROR(metric of 0 characters: expected 1 to 64 letters, digits, '-' and '_')
    └─ iot.validate_device
       └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]

    iot.ingest [device_id=d-1 data_points=1 error.type=invalid_timestamp] !ERROR(a time that has not come yet, or no time: expected milliseconds since 1970)
    └─ iot.validate_device
       └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]

    iot.ingest [device_id=d-1 data_points=1 error.type=out_of_range] !ERROR(humidity out of range: expected 0 to 100)
    └─ iot.validate_device
       └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]
  )") == "");
  CHECK(short_diff(run, "What is no JSON", R"(
    iot.ingest [error.type=invalid_json] !ERROR(no JSON: incomplete JSON)

    iot.ingest [error.type=invalid_json] !ERROR(timestamp: expected a whole number)
  )") == "");
  CHECK(run.output.find("   100,000 readings in ") != std::string::npos);
  CHECK(run.output.find("iot.data_points{device_id=d-4} 25002\n") != std::string::npos);
}

TEST_CASE("devices that may not send are refused where they are looked up, values where they are checked") {
  CHECK(short_diff(run_scenario("iot_ingest", "--shape --fault unknown_device"), "A device nobody knows", R"(
    iot.ingest [device_id=d-404 data_points=1 error.type=exception] !ERROR(left by an exception)
    └─ iot.validate_device [error.type=unknown_device] !ERROR(there is no device d-404)
       ├─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=miss]
       └─ SELECT devices
  )") == "");
  CHECK(short_diff(run_scenario("iot_ingest", "--shape --fault device_retired"), "should be silent", R"(
    iot.ingest [device_id=d-9 data_points=1 error.type=exception] !ERROR(left by an exception)
    └─ iot.validate_device [error.type=device_retired] !ERROR(the device is retired)
       ├─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=miss]
       ├─ SELECT devices
       └─ cache.set devices [otlpkit.cache.name=devices]
  )") == "");
  CHECK(short_diff(run_scenario("iot_ingest", "--shape --fault out_of_range"), "from -50 to 100", R"(
    batch.flush readings [otlpkit.batcher.name=readings otlpkit.batcher.batch.items=2 otlpkit.batcher.reason=flush]
    ├─ BEGIN
    ├─ BATCH INSERT readings
    ├─ BATCH INSERT reading_metrics
    └─ COMMIT

    iot.ingest [device_id=d-3 data_points=1 error.type=out_of_range] !ERROR(temperature out of range: expected -50 to 100)
    └─ iot.validate_device
       └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]

    iot.ingest [device_id=d-3 data_points=1 error.type=out_of_range] !ERROR(temperature out of range: expected -50 to 100)
    └─ iot.validate_device
       └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]
  )") == "");
}

TEST_CASE("a slow store makes one reading wait and another one too many, and the trace says which") {
  const scenario_run run = run_scenario("iot_ingest", "--shape --fault store_slow");
  CHECK(run.status == 0);
  CHECK(run.output.find("   10 readings written, 1 dropped\n") != std::string::npos);
  const std::string trees =
      std::regex_replace(short_trees(run, "The store is slow"), std::regex{"wait_ms=[0-9.]+"}, "wait_ms=T");
  const auto has = [&trees](std::string_view expected) {
    return ("\n" + trees).find("\n" + otlpkit::testing::dedent(expected)) != std::string::npos;
  };
  INFO(trees);
  CHECK(has(R"(
    iot.ingest [device_id=d-2 data_points=1 error.type=store_overloaded] !ERROR(no room for the reading, not in time)
    │  · otlpkit.batcher.waited [otlpkit.batcher.name=readings otlpkit.batcher.wait_ms=T]
    │  · otlpkit.batcher.dropped [otlpkit.batcher.name=readings otlpkit.batcher.outcome=dropped_newest otlpkit.batcher.items=1]
    └─ iot.validate_device
  )"));
  CHECK(has(R"(
    │  · otlpkit.batcher.waited [otlpkit.batcher.name=readings otlpkit.batcher.wait_ms=T]
    ├─ iot.validate_device
  )"));
}
