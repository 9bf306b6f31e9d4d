// SPDX-License-Identifier: MIT
// Endpoints: what is accepted prints as a URL that means the same, and cannot break out of a request line.
#include <otlpkit/sdk/url.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using otlpkit::exporters::parse_url;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  std::string expected;
  const auto url = parse_url(text, expected);
  if (!url) {
    if (expected.empty()) std::abort();
    return 0;
  }
  for (const char c : url->text()) {
    if (c <= 0x20 || c == 0x7F) std::abort();
  }
  if (url->host.empty() || url->port == 0 || !url->target.starts_with('/')) std::abort();
  const auto again = parse_url(url->text(), expected);
  if (!again || again->text() != url->text() || again->host != url->host || again->port != url->port) std::abort();
  const std::string under = otlpkit::exporters::signal_url(text, otlpkit::sdk::signal::traces);
  if (!parse_url(under, expected)) std::abort();
  return 0;
}
