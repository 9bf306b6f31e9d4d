// SPDX-License-Identifier: MIT
#pragma once

#include "shared_object.hpp"

#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include <sched.h>

namespace {

std::shared_ptr<otlpkit::testing::memory_exporter> memory;
std::optional<otlpkit::telemetry> telemetry;
int told = 0;

const void* module_runtime() { return &otlpkit::detail::global_runtime; }

void module_begin() {
  otlpkit::settings s;
  s.service = "module";
  s.detect_resource = false;
  memory = std::make_shared<otlpkit::testing::memory_exporter>();
  s.exporters = {memory};
  s.traces.schedule_delay = std::chrono::hours{1};
  s.diagnostics = [](otlpkit::diagnostic_level, std::string_view message) {
    if (message.find("another copy of otlpkit") != std::string_view::npos) ++told;
  };
  telemetry.emplace(s, otlpkit::environment{});
}

void module_record(std::size_t spans) {
  for (std::size_t i = 0; i < spans; ++i) {
    OTLPKIT_SPAN("in a module");
  }
}

module_report module_end() {
  telemetry->shutdown();
  const auto books = telemetry->books().spans();
  module_report r{books.recorded, books.delivered, books.dropped(), memory->items(otlpkit::sdk::signal::traces), told};
  telemetry.reset();
  memory.reset();
  return r;
}

[[maybe_unused]] pthread_t module_start_thread(const volatile int* go) {
  pthread_t thread{};
  pthread_create(
      &thread, nullptr,
      [](void* argument) -> void* {
        const auto* const flag = static_cast<const int*>(argument);
        module_record(3);
        while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == 0) sched_yield();
        module_record(3);
        return nullptr;
      },
      const_cast<int*>(go));
  return thread;
}

}  // namespace

#define OTLPKIT_TEST_MODULE(name)                                  \
  extern "C" [[gnu::visibility("default")]] module_functions name; \
  module_functions name { &module_runtime, &module_begin, &module_record, &module_end, &module_start_thread }
