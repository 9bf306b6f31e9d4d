// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Reads any bytes as baggage headers, one a line. Whatever they hold, what is sent on is one header of plain ASCII
/// within the limits, and reading that gives the same entries.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::pair<std::string_view, std::string_view>> in;
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    in.emplace_back("baggage", rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  const otlpkit::baggage read = otlpkit::extract(in).baggage;
  otlpkit::detail::baggage_text text;
  otlpkit::detail::format_baggage(read, text);
  for (const char c : text.view()) {
    if ((c < 0x20 && c != '\t') || c > 0x7E) std::abort();
  }
  if (read.size() > 180 || text.size() > 8192) std::abort();
  const otlpkit::baggage again = otlpkit::parse_baggage(text.view());
  if (again.size() > read.size() || (again.size() < read.size() && size < 2000)) std::abort();
  for (const otlpkit::baggage_entry& e : read) {
    if (!otlpkit::utf8::is_valid(e.value) || e.key.empty()) std::abort();
  }
  for (const otlpkit::baggage_entry& e : again) {
    const otlpkit::baggage_entry same = read.find(e.key);
    if (same.value != e.value || same.metadata != e.metadata) std::abort();
  }
  const otlpkit::baggage more = read.with("fuzz", rest.empty() ? "1" : rest);
  if (!more.contains("fuzz") || more.without("fuzz").contains("fuzz")) std::abort();
  return 0;
}
