// SPDX-License-Identifier: MIT
// The cases of ../log_bench.cpp and ../propagation_bench.cpp on the reference SDK.
#include "../support/case.hpp"
#include "sdk.hpp"

#include <opentelemetry/context/propagation/text_map_propagator.h>
#include <opentelemetry/context/runtime_context.h>
#include <opentelemetry/trace/propagation/http_trace_context.h>
#include <opentelemetry/trace/scope.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

namespace {

namespace trace = opentelemetry::trace;
namespace nostd = opentelemetry::nostd;

void peer_log_2attrs(benchmark::State& state) {
  constexpr int warm_up = 256;
  const auto tracer = peer::tracer();
  const auto logger = peer::logger();
  std::string user = "user-12345678";
  cases::hide(user);
  {
    const trace::Scope root{tracer->StartSpan("root")};
    cases::measure(
        state,
        [&] {
          logger->Info("order placed", opentelemetry::common::MakeAttributes({{"user_id", user}, {"item_count", 3}}));
        },
        1, warm_up);
  }
  peer::expect_spans(1);
  peer::expect_logs(static_cast<std::uint64_t>(state.iterations()) + warm_up);
}

class one_header : public opentelemetry::context::propagation::TextMapCarrier {
 public:
  [[nodiscard]] nostd::string_view Get(nostd::string_view key) const noexcept override {
    return key == "traceparent" ? nostd::string_view{text_, size_} : nostd::string_view{};
  }
  void Set(nostd::string_view, nostd::string_view value) noexcept override {
    size_ = std::min(value.size(), sizeof text_);
    std::memcpy(text_, value.data(), size_);
  }

 private:
  char text_[64] = {};
  std::size_t size_ = 0;
};

void peer_inject(benchmark::State& state) {
  const auto tracer = peer::tracer();
  {
    const trace::Scope root{tracer->StartSpan("request")};
    trace::propagation::HttpTraceContext format;
    one_header request;
    cases::measure(state, [&] {
      format.Inject(request, opentelemetry::context::RuntimeContext::GetCurrent());
      benchmark::DoNotOptimize(request);
    });
  }
  peer::expect_spans(1);
}

void peer_extract(benchmark::State& state) {
  trace::propagation::HttpTraceContext format;
  one_header request;
  request.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  opentelemetry::context::Context none;
  cases::measure(state, [&] { benchmark::DoNotOptimize(format.Extract(request, none)); });
}

BENCHMARK(peer_log_2attrs)->Iterations(1536);
BENCHMARK(peer_inject)->Iterations(4096);
BENCHMARK(peer_extract)->Iterations(4096);

}  // namespace
