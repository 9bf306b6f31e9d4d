// SPDX-License-Identifier: MIT
// OTEL_EXPORTER_OTLP_HEADERS: no accepted header can break out of its line, names are unique and in lower case.
#include <otlpkit/core/key_value_list.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otlpkit;
  const auto list = parse_otlp_headers({reinterpret_cast<const char*>(data), size});
  std::set<std::string> seen;
  for (const auto& [name, value] : list.pairs) {
    if (!is_header_name(name) || !is_header_value(value)) std::abort();
    if (value.find_first_of("\r\n") != std::string::npos || value.find('\0') != std::string::npos) std::abort();
    for (const char c : name) {
      if (c >= 'A' && c <= 'Z') std::abort();
    }
    if (!seen.insert(name).second) std::abort();
  }
  for (const std::string& problem : list.problems) {
    for (const char c : problem) {
      if (c < 0x20 || c > 0x7E) std::abort();
    }
  }
  return 0;
}
