// iot_ingest: readings of devices, checked one by one and written in batches; back-pressure when the store is slow
// SPDX-License-Identifier: MIT
#include "iot_ingest/surroundings.hpp"
#include "shared/load.hpp"
#include "shared/scenario.hpp"
#include "shared/untraced.hpp"

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using iot::device_data;
namespace messaging = otlpkit::messaging;

int main(int argc, char** argv) {
  shop::scenario scenario{argc, argv, "iot_ingest"};
  shop::database database;
  shop::store db = database.connect();
  // Three readings make a batch, or what has come within 50 ms. Six may wait; whoever comes then waits 250 ms at most.
  iot::surroundings around{database,
                           {.name = "readings",
                            .max_items = 3,
                            .max_delay = 50ms,
                            .high_watermark = 6,
                            .low_watermark = 3,
                            .when_full = messaging::overflow::block,
                            .max_wait = 250ms}};
  scenario.after_each([&] { around.readings.flush(); });

  const auto reading = [](std::string device, double temperature,
                          std::map<std::string, double> metrics = {{"battery", 3.1}}) {
    return device_data{std::move(device), iot::now_ms(), temperature, 40, std::move(metrics)};
  };
  const auto ingest = [&](const device_data& data) { iot::ingest(shop::to_json(data), around.all); };
  const auto count = [&](const char* table) {
    return otlpkit::db::row{db.wrapped().query(std::string{"SELECT COUNT(*) FROM "} + table, {}), 0}.get<std::int64_t>(
        0);
  };

  scenario.act("Three readings make a batch: it is written in a trace of its own, which links to theirs", [&] {
    for (const char* device : {"d-1", "d-2", "d-1"}) ingest(reading(device, 21.5));
    around.readings.flush();
    scenario.expect(count("readings") == 3 && count("reading_metrics") == 3, "three readings");
  });
  scenario.act("One reading alone is written when it has waited 50 ms; it raises two alerts", [&] {
    ingest(reading("d-4", 85, {{"battery", 3.1}, {"vibration", 12}}));
    while (around.readings.counts().sent < 4) std::this_thread::sleep_for(1ms);
    scenario.expect(count("alerts") == 2, "two alerts");
  });
  scenario.fault("unknown_device", "A device nobody knows",
                 [&] { scenario.expect_refused("unknown_device", [&] { ingest(reading("d-404", 20)); }); });
  scenario.fault("device_retired", "A device that should be silent",
                 [&] { scenario.expect_refused("device_retired", [&] { ingest(reading("d-9", 20)); }); });
  scenario.fault("out_of_range", "Temperatures from -50 to 100 degrees are taken, others are not", [&] {
    for (const double fits : {-50.0, 100.0}) {
      const shop::untraced quietly;
      ingest(reading("d-3", fits));
    }
    scenario.expect_refused("out_of_range", [&] { ingest(reading("d-3", -50.1)); });
    scenario.expect_refused("out_of_range", [&] { ingest(reading("d-3", 100.1)); });
  });
  scenario.fault("store_slow",
                 "The store is slow: who sends has to wait, and what finds no room in time is dropped and counted",
                 [&] {
                   const auto before = around.readings.counts();
                   around.store.hold(true);
                   {
                     const shop::untraced quietly;
                     for (int i = 0; i < 3 + 6; ++i)
                       ingest(reading("d-1", 20));  // a batch that is under way, and what may wait
                   }
                   scenario.expect_refused("store_overloaded", [&] { ingest(reading("d-2", 20)); });
                   std::thread store_recovers{[&] {
                     std::this_thread::sleep_for(20ms);
                     around.store.hold(false);
                   }};
                   ingest(reading("d-3", 20));
                   store_recovers.join();
                   around.readings.flush();
                   const auto after = around.readings.counts();
                   scenario.say(std::to_string(after.sent - before.sent) + " readings written, " +
                                std::to_string(after.dropped_newest - before.dropped_newest) + " dropped");
                   scenario.expect(after.dropped_newest == before.dropped_newest + 1, "one reading dropped");
                   scenario.expect(count("readings") == static_cast<std::int64_t>(after.sent), "all others written");
                 });
  scenario.fault("invalid_timestamp", "A time that has not come yet, a humidity there is not, a metric without a name",
                 [&] {
                   device_data data = reading("d-1", 20);
                   data.timestamp += 3'600'000;
                   scenario.expect_refused("invalid_timestamp", [&] { ingest(data); });
                   data = reading("d-1", 20);
                   data.humidity = 101;
                   scenario.expect_refused("out_of_range", [&] { ingest(data); });
                   scenario.expect_refused("invalid_id", [&] { ingest(reading("d-1", 20, {{"", 1}})); });
                 });
  scenario.fault("invalid_json", "What is no JSON, or no reading", [&] {
    scenario.expect_refused("invalid_json", [&] { iot::ingest("{\"device_id\": ", around.all); });
    scenario.expect_refused("invalid_json",
                            [&] { iot::ingest(R"({"device_id": "d-1", "timestamp": "now"})", around.all); });
  });
  scenario.act("100,000 readings in batches of 10,000; one of 50,000 is traced, all are counted", [&] {
    messaging::batcher<device_data> large{
        {.name = "bulk", .max_items = 10'000, .high_watermark = 40'000, .low_watermark = 20'000},
        [&](std::vector<device_data>& batch) { around.store.write(batch); }};
    iot::services services{around.database, around.devices, around.rules, large};
    const std::int64_t before = count("readings");
    const auto begun = std::chrono::steady_clock::now();
    const auto failures = shop::at_once(4, [&](int sender) {
      const std::string device = "d-" + std::to_string(sender + 1);
      for (int i = 0; i < 25'000; ++i) {
        std::optional<shop::untraced> quietly;
        if (i != 12'500 || sender % 2 != 0) quietly.emplace();
        iot::ingest(shop::to_json(device_data{device, iot::now_ms(), 20.0 + i % 50, 40, {{"battery", 3.1}}}), services);
      }
    });
    large.flush();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    char line[80];
    std::snprintf(line, sizeof line, "100,000 readings in %.2f s: %.0f a second", took.count(), 100'000 / took.count());
    scenario.say(line);
    scenario.expect(failures.empty() && count("readings") == before + 100'000, "all of them written");
  });
  return scenario.finish();
}
