// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Reads any bytes as the headers of B3 and Jaeger, one a line, whose first character says which. What is accepted
/// comes back the same from what is sent.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using otlpkit::propagator;
  static constexpr std::string_view names[] = {"b3",         "X-B3-TraceId",  "X-B3-SpanId", "X-B3-Sampled",
                                               "X-B3-Flags", "uber-trace-id", "uberctx-key"};
  std::vector<std::pair<std::string_view, std::string_view>> in;
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (!line.empty()) in.emplace_back(names[static_cast<unsigned char>(line[0]) % 7], line.substr(1));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  for (const propagator kind : {propagator::b3, propagator::b3multi, propagator::jaeger}) {
    const otlpkit::propagators one{kind};
    const otlpkit::remote_context c = one.extract(in);
    std::vector<std::pair<std::string, std::string>> out;
    one.inject(out, c.span, c.baggage);
    for (const auto& [name, value] : out) {
      for (const char b : value) {
        if (b <= 0x20 || b > 0x7E) std::abort();
      }
    }
    const otlpkit::remote_context again = one.extract(out);
    if (again.span.trace != c.span.trace || again.span.span != c.span.span || again.span.flags != c.span.flags ||
        again.baggage.get("key") != c.baggage.get("key")) {
      std::abort();
    }
  }
  return 0;
}
