// SPDX-License-Identifier: MIT
// Retry-After: whatever the header says, the wait is not negative and does not overflow.
#include <otlpkit/export/http_date.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const std::chrono::system_clock::time_point now{std::chrono::seconds{784111777}};
  const auto wait = otlpkit::exporters::parse_retry_after(text, now);
  if (wait && *wait < std::chrono::nanoseconds::zero()) std::abort();
  static_cast<void>(otlpkit::exporters::parse_http_date(text));
  return 0;
}
