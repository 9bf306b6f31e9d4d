// SPDX-License-Identifier: MIT
// needs: example_iot_ingest
#include "examples/short_shape.hpp"

#include <doctest/doctest.h>

#include <string>

namespace {

/// A device that is looked up in the database.
constexpr const char* looked_up = R"(
  ├─ iot.validate_device
  │  ├─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=miss]
  │  ├─ SELECT devices
  │  └─ cache.set devices [otlpkit.cache.name=devices]
)";

constexpr const char* no_alert = "└─ iot.check_alert_rules [rules=2]\n";

/// Refused when the device was found to be known.
std::string refused(const std::string& device, const std::string& error) {
  return tree("iot.ingest [device_id=" + device + " data_points=1 error.type=" + error, {R"(
    └─ iot.validate_device
       └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]
  )"});
}

std::string batch(const std::string& fields, const std::string& links) {
  return tree("batch.flush readings [otlpkit.batcher.name=readings otlpkit.batcher.batch." + fields + "]", {links, R"(
    ├─ BEGIN
    ├─ BATCH INSERT readings
    ├─ BATCH INSERT reading_metrics
    └─ COMMIT
  )"});
}

}  // namespace

TEST_CASE("readings are written in batches, whose traces link to those of the readings") {
  const scenario_run run = run_scenario("iot_ingest");
  CHECK(run.status == 0);
  const std::string link = "│  ↳ link\n";
  CHECK(short_diff(run, "Three readings make a batch",
                   batch("items=3 otlpkit.batcher.reason=count", link + link + link) + R"(
iot.ingest [device_id=d-1 data_points=1]
├─ iot.validate_device
│  └─ cache.get devices [otlpkit.cache.name=devices otlpkit.cache.outcome=hit]
└─ iot.check_alert_rules [rules=2]

)" + tree("iot.ingest [device_id=d-1 data_points=1]", {looked_up, no_alert}) +
                       "\n" + tree("iot.ingest [device_id=d-2 data_points=1]", {looked_up, no_alert})) == "");
  CHECK(short_diff(run, "One reading alone",
                   tree("batch.flush readings [otlpkit.batcher.name=readings otlpkit.batcher.batch.items=1 "
                        "otlpkit.batcher.reason=time]",
                        {R"(
    │  ↳ link
    ├─ BEGIN
    ├─ INSERT readings
    ├─ BATCH INSERT reading_metrics
    └─ COMMIT
  )"}) + "\n" + tree("iot.ingest [device_id=d-4 data_points=2]", {looked_up, R"(
    └─ iot.check_alert_rules [rules=2]
       │  · alert [rule=too-hot value=85.0]
       │  · alert [rule=vibration value=12.0]
       ├─ INSERT alerts
       └─ INSERT alerts
  )"})) == "");
  CHECK(
      short_diff(
          run, "A time that has not come yet",
          refused("d-1", "invalid_id] !ERROR(metric of 0 characters: expected 1 to 64 letters, digits, '-' and '_')") +
              "\n" +
              refused("d-1",
                      "invalid_timestamp] !ERROR(a time that has not come yet, or no time: expected milliseconds "
                      "since 1970)") +
              "\n" + refused("d-1", "out_of_range] !ERROR(humidity out of range: expected 0 to 100)")) == "");
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
  const std::string too_hot = refused("d-3", "out_of_range] !ERROR(temperature out of range: expected -50 to 100)");
  CHECK(short_diff(run_scenario("iot_ingest", "--shape --fault out_of_range"), "from -50 to 100",
                   batch("items=2 otlpkit.batcher.reason=flush", "") + "\n" + too_hot + "\n" + too_hot) == "");
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
