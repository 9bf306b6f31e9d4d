// SPDX-License-Identifier: MIT
#pragma once

#include "payment/payment.hpp"
#include "shared/behavior_service.hpp"
#include "shared/payment_gateway.hpp"

#include <chrono>
#include <cstdint>

namespace payment {

/// What stands around payments in scenarios and tests: database, cache, and the services of others as stubs.
struct surroundings {
  surroundings(const shop::database& db, std::uint64_t seed)
      : database{db.pool()}, gateway{"m-4711", "secret", seed}, behavior{shop::behavior_service(seed)}, cache{seed} {}

  /// Waits until the stubs have nothing to do.
  void settle() {
    gateway.service().wait_until_idle();
    behavior.wait_until_idle();
  }

  shop::store_pool database;
  shop::payment_gateway gateway;
  shop::stub_service behavior;
  shop::shared_cache<device> cache;
  device_cache devices{cache, {.name = "devices", .tolerate_errors = true}};  // an unknown device is no reason to fail
  boost::asio::thread_pool blocking{4};
  services all{.database = database,
               .devices = devices,
               .blocking = blocking,
               .gateway = otlpkit::http::client{gateway.service().url(), {.timeout = std::chrono::seconds{10}}},
               .behavior = otlpkit::http::client{behavior.url(), {.timeout = std::chrono::seconds{2}}},
               .merchant_id = "m-4711",
               .secret_key = "secret"};
};

}  // namespace payment
