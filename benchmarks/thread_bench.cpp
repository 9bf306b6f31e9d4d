// SPDX-License-Identifier: MIT
// Several threads that record at once, and one that waits for many that do not.
#include "support/case.hpp"
#include "support/pipeline.hpp"
#include "support/placement.hpp"

#include <otlpkit/otlpkit.hpp>

#include <barrier>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

namespace {

[[gnu::noinline]] void three_attributes(const std::string& user, int items, bool hit) {
  OTLPKIT_SPAN("child", {"user_id", user}, {"item_count", items}, {"cache_hit", hit});
}

/// Threads that are new in each repetition, on all cores: the figure is the CPU time of one.
void in_threads(benchmark::State& state) {
  const placement::on_any_core all;
  OTLPKIT_SPAN("root");
  std::string user = "user-12345678";
  cases::hide(user);
  cases::measure(state, [&] { three_attributes(user, 3, true); });
}

/// flush() while 100 threads live that have recorded and are idle now.
void flush_idle_100threads(benchmark::State& state) {
  constexpr std::ptrdiff_t count = 100;
  pipeline::on();
  std::barrier recorded{count + 1};
  std::barrier end{count + 1};
  std::vector<std::thread> threads;
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      three_attributes("user-12345678", 3, true);
      recorded.arrive_and_wait();
      end.arrive_and_wait();
    });
  }
  recorded.arrive_and_wait();
  cases::measure(
      state, [] { pipeline::on(); }, 1, 8);
  end.arrive_and_wait();
  for (std::thread& t : threads) t.join();
}

void set_up(const benchmark::State&) { pipeline::on(); }

BENCHMARK(in_threads)->Name("span_3attrs_2threads")->Setup(set_up)->Iterations(cases::burst / 2)->Threads(2);
BENCHMARK(in_threads)->Name("span_3attrs_4threads")->Setup(set_up)->Iterations(cases::burst / 4)->Threads(4);
BENCHMARK(flush_idle_100threads)->Iterations(64);

}  // namespace
