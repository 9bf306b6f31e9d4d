// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Reads any bytes as traceparent and tracestate headers, one a line. What is accepted is sent as one valid header of
/// each kind and comes back the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using headers = std::vector<std::pair<std::string_view, std::string_view>>;
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  headers in;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    in.emplace_back(in.empty() || rest[0] == '0' ? "traceparent" : "tracestate", rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  const otlpkit::remote_context c = otlpkit::extract(in);
  std::vector<std::pair<std::string, std::string>> out;
  otlpkit::inject(out, c.span, c.baggage);
  if (!c.valid()) {
    if (!out.empty() || !c.span.state.empty()) std::abort();
    return 0;
  }
  if (out.empty() || out[0].second.size() != 55 || out.size() > 2 || (c.span.flags & ~3) != 0) std::abort();
  for (const auto& [name, value] : out) {
    for (const char b : value) {
      if (b < 0x20 || b > 0x7E) std::abort();
    }
  }
  const otlpkit::remote_context again = otlpkit::extract(out);
  if (again.span.trace != c.span.trace || again.span.span != c.span.span || again.span.flags != c.span.flags ||
      again.span.state.header() != c.span.state.header()) {
    std::abort();
  }
  const otlpkit::trace_state changed = otlpkit::tracestate_with(c.span.state, "fuzz", "1");
  if (!changed.header().starts_with("fuzz=1") ||
      otlpkit::parse_tracestate(changed.header()).header() != changed.header()) {
    std::abort();
  }
  return 0;
}
