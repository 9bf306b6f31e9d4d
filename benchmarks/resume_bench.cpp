// SPDX-License-Identifier: MIT
// What it costs a coroutine to be suspended and resumed, without and with a current span that follows it.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/otlpkit.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <cstdint>

namespace {

namespace asio = boost::asio;

/// Its executor is an any_io_executor, as that of most coroutines. The loop is the coroutine's own: nothing else runs.
asio::awaitable<void> resumes(benchmark::State& state) {
  for (int i = 0; i < 512; ++i) co_await asio::post(asio::deferred);
  const std::uint64_t before = allocations::of_this_thread();
  for ([[maybe_unused]] auto _ : state) co_await asio::post(asio::deferred);
  cases::note_allocations(state, allocations::of_this_thread() - before);
}

void resume_plain(benchmark::State& state) {
  asio::io_context io{1};
  asio::co_spawn(io, resumes(state), asio::detached);
  io.run();
}

void resume_traced(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("request");
  asio::io_context io{1};
  otlpkit::co_spawn(io, resumes(state), asio::detached);
  io.run();
}

BENCHMARK(resume_plain)->Iterations(cases::burst);
BENCHMARK(resume_traced)->Iterations(cases::burst);

}  // namespace
