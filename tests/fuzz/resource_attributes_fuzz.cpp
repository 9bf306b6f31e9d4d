// SPDX-License-Identifier: MIT
// OTEL_RESOURCE_ATTRIBUTES: either pairs or one problem, and what is accepted encodes to a resource as long as it says.
#include <otlpkit/core/key_value_list.hpp>
#include <otlpkit/core/resource.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otlpkit;
  const auto list = parse_resource_attributes({reinterpret_cast<const char*>(data), size});
  if (list.problems.size() > 1 || (!list.problems.empty() && !list.pairs.empty())) std::abort();
  std::vector<resource_attribute> attributes;
  for (const auto& [key, value] : list.pairs) {
    if (key.empty() || !utf8::is_valid(key) || !utf8::is_valid(value)) std::abort();
    attributes.push_back({key, value});
  }
  const resource made{attributes};
  for (const auto& [key, value] : list.pairs) {
    const auto last =
        std::find_if(list.pairs.rbegin(), list.pairs.rend(), [&](const auto& p) { return p.first == key; });
    if (made.find(key) == nullptr || made.find(key)->text() != last->second) std::abort();
    if (list.pairs.size() > 100) break;  // the search above is quadratic
  }
  if (encode(made).size() < 2) std::abort();
  return 0;
}
