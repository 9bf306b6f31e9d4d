// SPDX-License-Identifier: MIT
// links: scenario_iot_ingest
#include "examples/load_recording.hpp"
#include "iot_ingest/surroundings.hpp"
#include "shared/load.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>

namespace {

constexpr int clients = 16;
constexpr int each = 250;

/// What the clients were told.
struct answers {
  std::mutex mutex;
  std::map<std::string, std::int64_t> accepted, points;  ///< by device
  std::map<std::string, std::int64_t> refused;           ///< by reason
  std::int64_t alerts = 0;

  [[nodiscard]] std::int64_t all(const std::map<std::string, std::int64_t>& of) const {
    std::int64_t n = 0;
    for (const auto& [key, count] : of) n += count;
    return n;
  }
};

void serve(int client, iot::services& s, answers& told) {
  std::mt19937_64 random{static_cast<std::uint64_t>(client) + 1};
  for (int i = 0; i < each; ++i) {
    static const char* const ids[] = {"d-1", "d-2", "d-3", "d-4", "d-9", "d-404"};
    iot::device_data data{ids[random() % 6], iot::now_ms(), static_cast<double>(random() % 105), 40, {}};
    for (auto n = random() % 4; n > 0; --n) data.metrics["m" + std::to_string(n)] = 1.5;
    try {
      iot::ingest(shop::to_json(data), s);
      const std::lock_guard lock{told.mutex};
      ++told.accepted[data.device_id];
      told.points[data.device_id] += static_cast<std::int64_t>(data.metrics.size());
      told.alerts += data.temperature > 80 ? 1 : 0;
    } catch (const shop::refused& no) {
      const std::lock_guard lock{told.mutex};
      ++told.refused[std::string{no.type()}];
    }
  }
}

void run(otlpkit::messaging::batcher_options batches, bool slow) {
  load_recording recording;
  shop::database database;
  answers told;
  otlpkit::messaging::batcher_counts books;
  {
    iot::surroundings around{database, std::move(batches)};
    std::atomic<bool> done{false};
    std::thread disturber{[&] {
      for (bool held = true; slow && !done; held = !held) {
        around.store.hold(held);
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
      }
      around.store.hold(false);
    }};
    const auto thrown = shop::at_once(clients, [&](int client) { serve(client, around.all, told); });
    done = true;
    disturber.join();
    around.readings.flush();
    books = around.readings.counts();
    for (const auto& e : thrown) MESSAGE(shop::message_of(e));
    REQUIRE(thrown.empty());
  }

  auto db = database.connect();
  const auto count = [&db](const std::string& what) {
    return db.query_one<std::int64_t>("SELECT COUNT(*) FROM " + what);
  };
  const std::int64_t accepted = told.all(told.accepted);
  const std::int64_t dropped = told.refused["store_overloaded"];
  CHECK(accepted + told.all(told.refused) == clients * each);
  CHECK((slow ? dropped > 0 : dropped == 0));
  CHECK(count("readings") == accepted);
  CHECK(count("reading_metrics") == told.all(told.points));
  CHECK(count("alerts") == told.alerts);
  CHECK(count("readings WHERE temperature > 100") == 0);
  CHECK(books.sent == static_cast<std::uint64_t>(accepted));
  CHECK(books.dropped_newest == static_cast<std::uint64_t>(dropped));

  recording.finish();
  for (const auto& [device, points] : told.points) {
    CAPTURE(device);
    CHECK(count("readings WHERE device_id = '" + device + "'") == told.accepted[device]);
    CHECK(recording.sum("iot.data_points", "device_id", device) == points);
  }
  CHECK(recording.sum("otlpkit.batcher.items", "otlpkit.batcher.outcome", "sent") == accepted);
  CHECK(recording.sum("otlpkit.batcher.items", "otlpkit.batcher.outcome", "dropped_newest") == dropped);
  CHECK(recording.failures() == static_cast<std::size_t>(told.all(told.refused)));
  CHECK(recording.unclear() == "");
  std::multiset<std::string> linked;  // every reading that was accepted, by the one batch it was written with
  std::set<std::string> ingested;
  for (const auto& s : recording.spans()) {
    for (const auto& l : s.links) linked.insert(l.span_id);
    if (s.name == "iot.ingest" && !s.is_error()) ingested.insert(s.span_id);
  }
  CHECK(ingested.size() == static_cast<std::size_t>(accepted));
  CHECK(linked == std::multiset<std::string>(ingested.begin(), ingested.end()));
  MESSAGE(accepted, " readings in ", recording.spans("batch.flush readings"), " batches, ", dropped, " dropped");
}

}  // namespace

TEST_CASE("4,000 readings of 16 clients: what is accepted is written, counted and linked, once") {
  run({.name = "readings",
       .max_items = 100,
       .max_delay = std::chrono::milliseconds{20},
       .high_watermark = 1'000,
       .low_watermark = 500},
      false);
}

TEST_CASE("the same with a store that stands still every other 20 ms: the books of what was dropped are right, too") {
  run({.name = "readings",
       .max_items = 10,
       .max_delay = std::chrono::milliseconds{20},
       .high_watermark = 20,
       .low_watermark = 10,
       .max_wait = std::chrono::milliseconds{5}},
      true);
}
