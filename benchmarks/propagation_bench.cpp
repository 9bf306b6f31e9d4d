// SPDX-License-Identifier: MIT
// The traceparent header of a request, written and read. The carrier keeps one header in place, so that what is
// measured is not a map.
#include "support/case.hpp"
#include "support/pipeline.hpp"

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace {

/// The headers of a request, as far as they matter here.
class one_header {
 public:
  void set(std::string_view, std::string_view value) noexcept {
    size_ = std::min(value.size(), sizeof text_);
    std::memcpy(text_, value.data(), size_);
  }
  [[nodiscard]] std::string_view get(std::string_view name) const noexcept {
    return name == "traceparent" ? std::string_view{text_, size_} : std::string_view{};
  }

 private:
  char text_[64] = {};
  std::size_t size_ = 0;
};

void inject(benchmark::State& state) {
  pipeline::on();
  OTLPKIT_SPAN("request");
  one_header request;
  cases::measure(state, [&] {
    otlpkit::inject(request);
    benchmark::DoNotOptimize(request);
  });
}

void extract(benchmark::State& state) {
  pipeline::on();
  one_header request;
  request.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  cases::hide(request);
  cases::measure(state, [&] { benchmark::DoNotOptimize(otlpkit::extract(request)); });
}

BENCHMARK(inject)->Iterations(cases::burst);
BENCHMARK(extract)->Iterations(cases::burst);

}  // namespace
