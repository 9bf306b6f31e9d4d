// SPDX-License-Identifier: MIT
// What time itself costs, and the least an empty span can cost with it.
#include "support/case.hpp"

#include <otlpkit/core/ids.hpp>
#include <otlpkit/core/platform.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>

namespace {

namespace platform = otlpkit::platform;

/// The counter that spans read, without the question which one it is.
[[gnu::always_inline]] inline std::uint64_t raw_tick() noexcept {
#if defined(__x86_64__) || defined(__aarch64__)
  return platform::cycle_counter();
#else
  return platform::steady_ns();
#endif
}

void clock_gettime_case(benchmark::State& state) {
  cases::measure(state, [] {
    timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    benchmark::DoNotOptimize(now);
  });
}

void tick_case(benchmark::State& state) {
  cases::measure(state, [] { benchmark::DoNotOptimize(raw_tick()); });
}

/// Two ticks, an id, and the 75 bytes of an empty child span: everything that differs from span to span is put into a
/// prepared message, which is stored once, where the next reader finds it.
void floor_case(benchmark::State& state) {
  constexpr std::size_t size = 75;
  constexpr std::size_t room = 64 * 1024;
  alignas(64) static std::byte chunk[room + 80];
  alignas(16) std::byte message[80] = {};
  otlpkit::random_generator ids{};
  ids.seed();
  std::size_t at = 0;
  cases::measure(state, [&] {
    const std::uint64_t start = raw_tick();
    const std::uint64_t id = ids.next();
    std::byte* const p = chunk + at;
    std::memcpy(p, message, 80);
    std::memcpy(p + 22, &id, sizeof id);
    std::memcpy(p + 33, &start, sizeof start);
    const std::uint64_t end = raw_tick();
    std::memcpy(p + 42, &end, sizeof end);
    at += size;
    if (at > room) at = 0;
    asm volatile("" : : "r"(p) : "memory");
  });
}

BENCHMARK(clock_gettime_case)->Name("clock_gettime")->Iterations(cases::burst);
BENCHMARK(tick_case)->Name("tick")->Iterations(cases::burst);
BENCHMARK(floor_case)->Name("floor")->Iterations(cases::burst);

}  // namespace
