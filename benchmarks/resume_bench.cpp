// SPDX-License-Identifier: MIT
// What it costs a coroutine to be suspended and resumed, without and with a current span that follows it; and the
// decorators of coroutines around one that does nothing.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/asio/in_span.hpp>
#include <otlpkit/asio/spawn_detached.hpp>
#include <otlpkit/otlpkit.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

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

asio::awaitable<void> nothing() { co_return; }

template <class Operation>
asio::awaitable<void> awaits(benchmark::State& state, Operation operation) {
  for (int i = 0; i < 64; ++i) co_await operation();
  const std::uint64_t before = allocations::of_this_thread();
  for ([[maybe_unused]] auto _ : state) co_await operation();
  cases::note_allocations(state, allocations::of_this_thread() - before);
}

template <class Operation>
void in_task(benchmark::State& state, Operation operation) {
  pipeline::on();
  OTLPKIT_SPAN("request");
  asio::io_context io{1};
  otlpkit::co_spawn(io, awaits(state, operation), asio::detached);
  io.run();
}

void await_plain(benchmark::State& state) {
  in_task(state, [] { return nothing(); });
}
void in_span(benchmark::State& state) {
  in_task(state, [] { return otlpkit::in_span("price.get", nothing()); });
}
/// Until the detached work has run.
void spawn_detached(benchmark::State& state) {
  in_task(state, [] {
    otlpkit::spawn_detached("order.fulfil", nothing());
    return asio::post(asio::use_awaitable);
  });
}

BENCHMARK(await_plain)->Iterations(cases::burst / 4);
BENCHMARK(in_span)->Name("decorator_in_span")->Iterations(cases::burst / 4);
BENCHMARK(spawn_detached)->Name("decorator_spawn_detached")->Iterations(cases::burst / 8);
BENCHMARK(resume_plain)->Iterations(cases::burst);
BENCHMARK(resume_traced)->Iterations(cases::burst);

}  // namespace
