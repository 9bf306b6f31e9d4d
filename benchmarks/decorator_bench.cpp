// SPDX-License-Identifier: MIT
// Each decorator around a call that does nothing: its spans, its metrics, and nothing else.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/cache/tiered_cache.hpp>
#include <otlpkit/cache/traced_cache.hpp>
#include <otlpkit/db/traced_db.hpp>
#include <otlpkit/db/transaction.hpp>
#include <otlpkit/lock/distributed_lock.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/trace/detached.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace {

struct empty_cache {
  [[nodiscard]] std::optional<int> get(std::string_view) noexcept { return 1; }
  void erase(std::string_view) noexcept {}
};

struct empty_database {
  otlpkit::db::connection_info about{.system_name = "postgresql", .name_space = "shop", .server_address = "db"};

  [[nodiscard]] const otlpkit::db::connection_info& info() const noexcept { return about; }
  [[nodiscard]] otlpkit::db::result query(std::string_view, otlpkit::db::parameters) { return otlpkit::db::result{}; }
  std::int64_t execute(std::string_view, otlpkit::db::parameters) noexcept { return 0; }
};

template <class Operation>
void children(benchmark::State& state, Operation operation) {
  pipeline::on();
  OTLPKIT_SPAN("root");
  cases::measure(state, operation);
}

void traced(benchmark::State& state) {
  int price = 4200;
  cases::hide(price);
  children(state, [&] {
    benchmark::DoNotOptimize(otlpkit::traced("pricing.calculate", {{"coupon", false}}, [&] { return price; }));
  });
}

void detached(benchmark::State& state) {
  children(state, [] { otlpkit::detached("product.increment_views", [] {})(); });
}

void cache_get(benchmark::State& state) {
  otlpkit::cache::traced_cache cache{empty_cache{}, {.name = "products"}};
  std::string key = "product-17";
  cases::hide(key);
  children(state, [&] { benchmark::DoNotOptimize(cache.get(key)); });
}

/// A value that the first level has.
void tiered_cache_get(benchmark::State& state) {
  otlpkit::cache::tiered_cache<int> cache{{.name = "products", .ttl = std::chrono::hours{1}}};
  std::string key = "product-17";
  cases::hide(key);
  children(state, [&] { benchmark::DoNotOptimize(cache.get(key, [] { return std::optional<int>{1}; })); });
}

/// Taken and released, in a store that is in the process.
void lock_work(benchmark::State& state) {
  otlpkit::lock::memory_lock_store store;
  otlpkit::lock::distributed_lock accounts{store, {.name = "account", .ttl = std::chrono::seconds{30}}};
  std::string account = "account-17";
  cases::hide(account);
  children(state, [&] { accounts.work(account, [](auto&) {}); });
}

void db_query(benchmark::State& state) {
  otlpkit::db::traced_db db{empty_database{}};
  std::string id = "product-17";
  cases::hide(id);
  children(state,
           [&] { benchmark::DoNotOptimize(db.query("SELECT id, name, price FROM products WHERE id = $1", id)); });
}

/// Begins and commits one: two statements that do nothing.
void transaction(benchmark::State& state) {
  otlpkit::db::traced_db db{empty_database{}};
  children(state, [&] {
    auto tx = db.transaction();
    tx.commit();
  });
}

BENCHMARK(traced)->Name("decorator_traced")->Iterations(cases::burst / 2);
BENCHMARK(detached)->Name("decorator_detached")->Iterations(cases::burst / 2);
BENCHMARK(cache_get)->Name("decorator_cache_get")->Iterations(cases::burst / 4);
BENCHMARK(tiered_cache_get)->Name("decorator_tiered_cache_get")->Iterations(cases::burst / 8);
BENCHMARK(lock_work)->Name("decorator_lock_work")->Iterations(cases::burst / 64);
BENCHMARK(db_query)->Name("decorator_db_query")->Iterations(cases::burst / 8);
BENCHMARK(transaction)->Name("decorator_transaction")->Iterations(cases::burst / 16);

}  // namespace
